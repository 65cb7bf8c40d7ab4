import type { CausalLm } from '../causal-lm/causal-lm.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { generateTokens, type GenerateOptions } from './generate-tokens.ts';

/** A piece of a continuation, as soon as its characters are whole. */
export interface TextChunk {
  /** Which prompt it continues. */
  readonly sequence: number;
  readonly text: string;
  /** New tokens since the sequence's chunk before; control tokens have no text and count with the next one. */
  readonly tokens: number;
}

/**
 * Continues prompts of token ids and gives the text as it comes. Ends at the model's end-of-turn tokens, which are not
 * part of the text, unless `stopIds` says otherwise.
 */
export async function* streamText(
  model: CausalLm,
  tokenizer: Tokenizer,
  prompts: readonly Int32Array[],
  options: GenerateOptions = {},
): AsyncGenerator<TextChunk> {
  const decoders = prompts.map(() => tokenizer.streamDecoder());
  const pending = prompts.map(() => 0);
  const chunk = (sequence: number, text: string): TextChunk => {
    const tokens = pending[sequence]!;
    pending[sequence] = 0;
    return { sequence, text, tokens };
  };
  for await (const { sequence, id } of generateTokens(model, prompts, {
    stopIds: tokenizer.endOfTurnIds,
    ...options,
  })) {
    pending[sequence]!++;
    const text = decoders[sequence]!.push(id);
    if (text !== '') yield chunk(sequence, text);
  }
  for (const [sequence, decoder] of decoders.entries()) {
    const text = decoder.end();
    if (text !== '' || pending[sequence]! > 0) yield chunk(sequence, text);
  }
}

/** The whole continuations, in the order of the prompts. */
export async function generateTexts(
  model: CausalLm,
  tokenizer: Tokenizer,
  prompts: readonly Int32Array[],
  options: GenerateOptions = {},
): Promise<string[]> {
  const texts = prompts.map(() => '');
  for await (const { sequence, text } of streamText(model, tokenizer, prompts, options)) texts[sequence] += text;
  return texts;
}
