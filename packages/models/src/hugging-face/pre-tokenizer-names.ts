import { isObject, type JsonObject } from './json-file.ts';

/** What tokenizer.json says where a GGUF has a name in `tokenizer.ggml.pre`. */
export interface PreTokenizerJson {
  readonly pre_tokenizer: JsonObject;
  readonly normalizer: JsonObject | null;
  readonly ignoreMerges: boolean;
}

const byteLevel = (useRegex: boolean): JsonObject => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});
const sequence = (...pretokenizers: JsonObject[]): JsonObject => ({ type: 'Sequence', pretokenizers });
/** The pattern of Llama 3 and Qwen 2, which differ in how many digits stay together. */
const split = (digits: string): JsonObject => ({
  type: 'Split',
  pattern: {
    Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  },
  behavior: 'Isolated',
  invert: false,
});

const llama3: PreTokenizerJson = {
  pre_tokenizer: sequence(split('{1,3}'), byteLevel(false)),
  normalizer: null,
  ignoreMerges: true,
};

/** In the order in which a tokenizer.json is looked up. */
const byName: ReadonlyMap<string, PreTokenizerJson> = new Map([
  ['gpt-2', { pre_tokenizer: byteLevel(true), normalizer: null, ignoreMerges: false }],
  [
    'smollm',
    {
      pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)),
      normalizer: null,
      ignoreMerges: false,
    },
  ],
  ['qwen2', { pre_tokenizer: sequence(split(''), byteLevel(false)), normalizer: { type: 'NFC' }, ignoreMerges: false }],
  ['llama-bpe', llama3],
  ['llama3', llama3],
  ['llama-v3', llama3],
]);

/** What a GGUF's name stands for; undefined for one without such a form. */
export function preTokenizerJson(name: string): PreTokenizerJson | undefined {
  return byName.get(name);
}

/** The GGUF's name of what a tokenizer.json says; undefined where it has none. */
export function preTokenizerName(json: JsonObject): string | undefined {
  const found = essence(json['pre_tokenizer']);
  for (const [name, { pre_tokenizer }] of byName) {
    if (JSON.stringify(essence(pre_tokenizer)) === JSON.stringify(found)) return name;
  }
  return undefined;
}

/** What decides the split: offsets do not, nor in which order the keys stand. */
function essence(component: unknown): unknown {
  if (!isObject(component)) return null;
  const { type, pretokenizers, pattern, behavior, invert, individual_digits: digits } = component;
  if (type === 'Sequence') return Array.isArray(pretokenizers) ? pretokenizers.map(essence) : null;
  const own = [type, pattern, behavior, invert, digits, component['add_prefix_space'] ?? false];
  return [...own, type === 'ByteLevel' ? (component['use_regex'] ?? true) : null].map((value) => value ?? null);
}
