/**
 * How a byte-pair tokenizer cuts text into words before merging: a list of patterns, each of which isolates its
 * matches within the pieces that the patterns before it left. Named as `tokenizer.ggml.pre` names them; the patterns
 * are those that the models were trained with, as llama.cpp states them.
 */
import { LETTER, NUMBER, PUNCTUATION, WHITESPACE } from './unicode-classes.ts';

const WORD_GPT2 =
  `'s|'t|'re|'ve|'m|'ll|'d| ?[${LETTER}]+| ?[${NUMBER}]+| ?[^${WHITESPACE}${LETTER}${NUMBER}]+` +
  `|[${WHITESPACE}]+(?![^${WHITESPACE}])|[${WHITESPACE}]+`;

const wordLlama3 = (digits: string): string =>
  `'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n${LETTER}${NUMBER}]?[${LETTER}]+|[${NUMBER}]${digits}` +
  `| ?[^${WHITESPACE}${LETTER}${NUMBER}]+[\\r\\n]*|[${WHITESPACE}]*[\\r\\n]+` +
  `|[${WHITESPACE}]+(?![^${WHITESPACE}])|[${WHITESPACE}]+`;

interface PreTokenizer {
  readonly patterns: readonly string[];
  /** A word that is a token as a whole is taken so, whatever the merges say. */
  readonly ignoreMerges: boolean;
  /** Whether BOS goes before a text where the metadata does not say. */
  readonly addBos: boolean;
}

const gpt2: PreTokenizer = { patterns: [WORD_GPT2], ignoreMerges: false, addBos: false };
const llama3: PreTokenizer = { patterns: [wordLlama3('{1,3}')], ignoreMerges: true, addBos: true };

const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map<string, PreTokenizer>([
  [
    'default',
    {
      patterns: [`[${PUNCTUATION}$+<=>^~|]+`, WORD_GPT2, `[${NUMBER}]+`, '[0-9][0-9][0-9]'],
      ignoreMerges: false,
      addBos: false,
    },
  ],
  ['gpt-2', gpt2],
  ['smollm', { patterns: [`[${NUMBER}]`, WORD_GPT2], ignoreMerges: false, addBos: false }],
  ['qwen2', { patterns: [wordLlama3('')], ignoreMerges: false, addBos: false }],
  ['llama3', llama3],
  ['llama-v3', llama3],
  ['llama-bpe', llama3],
]);

export const PRE_TOKENIZER_NAMES: readonly string[] = [...PRE_TOKENIZERS.keys()];

/** A pre-tokenizer ready to use; undefined for a name that is not in `PRE_TOKENIZER_NAMES`. */
export function preTokenizer(
  name: string,
): (Omit<PreTokenizer, 'patterns'> & { split(text: string): string[] }) | undefined {
  const known = PRE_TOKENIZERS.get(name);
  if (known === undefined) return undefined;
  const patterns = known.patterns.map((source) => new RegExp(source, 'gu'));
  return {
    ignoreMerges: known.ignoreMerges,
    addBos: known.addBos,
    split: (text) => patterns.reduce((pieces, pattern) => pieces.flatMap((piece) => isolate(piece, pattern)), [text]),
  };
}

/** Cuts text at the borders of each match, none of which is empty; what lies between matches stays one piece. */
function isolate(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let end = 0;
  // Not matchAll: it copies the expression, and these are long.
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (match.index > end) pieces.push(text.slice(end, match.index));
    pieces.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}
