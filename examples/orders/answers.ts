import { generateTexts, type CausalLm, type Tokenizer } from '@lowrank/models';
import type { HeldOut } from './task.ts';

export interface Answer {
  readonly prompt: string;
  readonly expected: string;
  readonly text: string;
}

/** Longest expected answer is about 80 tokens; what rambles on is cut there. */
const MOST_TOKENS = 96;
/** Prompts answered together. */
const AT_ONCE = 40;

/** The model's greedy answers to held-out prompts. */
export async function answerAll(
  model: CausalLm,
  tokenizer: Tokenizer,
  held: readonly HeldOut[],
  onProgress: (done: number) => void,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < held.length; at += AT_ONCE) {
    onProgress(at);
    const group = held.slice(at, at + AT_ONCE);
    const texts = await generateTexts(
      model,
      tokenizer,
      group.map(({ ids }) => ids),
      { maxTokens: MOST_TOKENS },
    );
    answers.push(...group.map(({ prompt, expected }, i) => ({ prompt, expected, text: texts[i]! })));
  }
  return answers;
}

/** Share of answers that are the expected text, surrounding white space aside. */
export function exactMatch(answers: readonly Answer[]): number {
  return answers.filter(({ text, expected }) => text.trim() === expected).length / answers.length;
}
