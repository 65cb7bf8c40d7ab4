import { TOKEN_KIND } from './byte-pair-tokenizer.ts';

/**
 * Control tokens that end generation in whatever vocabulary has them: ends of turns and texts, and those that code
 * models write between files (llama.cpp ends there too).
 */
const END_OF_TURN_TEXTS = new Set([
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<end_of_utterance>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<eos>',
  '</s>',
  '<EOT>',
  '[EOS]',
  '<|fim_repo|>',
  '<|repo_name|>',
  '<reponame>',
  '<|file_sep|>',
  '<|fim_pad|>',
]);

/**
 * The ids that end generation, ascending.
 * @param named those that the file names itself.
 */
export function endOfTurnIds(
  tokens: readonly string[],
  kinds: ArrayLike<number>,
  named: readonly (number | undefined)[],
): number[] {
  const ids = new Set(named.filter((id) => id !== undefined));
  tokens.forEach((token, id) => {
    if (kinds[id] === TOKEN_KIND.control && END_OF_TURN_TEXTS.has(token)) ids.add(id);
  });
  return [...ids].sort((a, b) => a - b);
}
