/**
 * Byte-level byte-pair tokenizer, GPT-2's kind. Merging is @huggingface/tokenizers'; special tokens and word splitting
 * are this package's own, because ids must equal llama.cpp's and must not change with the JavaScript engine's Unicode
 * version.
 */
import * as tokenizers from '@huggingface/tokenizers';
import { ModelsError } from '../models-error.ts';
import { fromByteAlphabet, toByteAlphabet } from './byte-alphabet.ts';
import { bySearchOrder, splitSpecialTokens } from './special-tokens.ts';
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from './tokenizer.ts';

/** `tokenizer.ggml.token_type`. */
export const TOKEN_KIND = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The part of the library's BPE model used here; its own declarations do not resolve under Node's module rules. */
interface Merger {
  /** Words from this length on are not cached. */
  max_length_to_cache: number;
  encode(words: string[]): string[];
}

interface MergerConfig {
  type: 'BPE';
  vocab: Record<string, number>;
  merges: [string, string][];
  ignore_merges: boolean;
}

const { BPE } = tokenizers as unknown as { BPE: new (config: MergerConfig) => Merger };

export interface BytePairVocabulary {
  /** Texts by id; normal ones in GPT-2's byte alphabet. */
  readonly tokens: readonly string[];
  /** A `TOKEN_KIND` for each token. */
  readonly kinds: ArrayLike<number>;
  /** Pairs in order of rank, as "left right". */
  readonly merges: readonly string[];
  readonly ignoreMerges: boolean;
  readonly splitWords: (text: string) => string[];
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly endOfTurnIds: readonly number[];
}

interface EncodedWord {
  readonly ids: readonly number[];
  /** Whether the ids stand for all of the word's bytes. */
  readonly complete: boolean;
}

const CACHED_WORDS = 20_000;
const CACHED_WORD_LENGTH = 64;

export class BytePairTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addBos: boolean;
  readonly endOfTurnIds: readonly number[];
  readonly #vocabulary: BytePairVocabulary;
  readonly #merger: Merger;
  readonly #ids: ReadonlyMap<string, number>;
  /** Words met before; emptied when full. */
  readonly #words = new Map<string, EncodedWord>();
  /** [text, id] of what is cut out of text before words are split, in search order. */
  readonly #userDefined: readonly (readonly [string, number])[];
  readonly #special: readonly (readonly [string, number])[];
  readonly #specialIds: ReadonlyMap<string, number>;

  constructor(vocabulary: BytePairVocabulary) {
    const { tokens, kinds, merges, ignoreMerges } = vocabulary;
    this.#vocabulary = vocabulary;
    this.vocabularySize = tokens.length;
    this.bosId = vocabulary.bosId;
    this.eosId = vocabulary.eosId;
    this.addBos = vocabulary.addBos;
    this.endOfTurnIds = vocabulary.endOfTurnIds;
    const entries = tokens.map((token, id) => [token, id] as const);
    // Of two tokens with one text the later wins.
    this.#ids = new Map(entries);
    this.#special = entries
      .filter(([token, id]) => token !== '' && (isSpecial(kinds[id]) || kinds[id] === TOKEN_KIND.userDefined))
      .sort(bySearchOrder);
    this.#userDefined = this.#special.filter(([, id]) => kinds[id] === TOKEN_KIND.userDefined);
    this.#specialIds = new Map(this.#special);
    this.#merger = new BPE({
      type: 'BPE',
      vocab: Object.fromEntries(this.#ids),
      merges: merges.map(splitMerge),
      ignore_merges: ignoreMerges,
    });
    // The library's own cache takes a quarter of a millisecond a word once it is full.
    this.#merger.max_length_to_cache = 0;
  }

  encode(
    text: string,
    { addSpecial = true, parseSpecial = false, missingBytes = 'drop' }: EncodeOptions = {},
  ): Int32Array {
    const ids: number[] = [];
    if (addSpecial && this.#vocabulary.addBos && this.bosId !== undefined) ids.push(this.bosId);
    const specials = parseSpecial ? this.#special : this.#userDefined;
    for (const fragment of splitSpecialTokens(wellFormed(text), specials)) {
      if (typeof fragment === 'number') ids.push(fragment);
      else this.#encodeWords(fragment, missingBytes, ids);
    }
    if (addSpecial && this.#vocabulary.addEos && this.eosId !== undefined) ids.push(this.eosId);
    return Int32Array.from(ids);
  }

  #encodeWords(text: string, missingBytes: 'drop' | 'throw', ids: number[]): void {
    for (const word of this.#vocabulary.splitWords(text)) {
      const { ids: wordIds, complete } = this.#encodeWord(word);
      if (!complete && missingBytes === 'throw') {
        throw new ModelsError(
          'MODELS_TOKENIZER_UNENCODABLE',
          `the vocabulary has no token for some of the bytes of ${JSON.stringify(word)}; use a model whose vocabulary holds all 256 bytes, or leave such characters out`,
          { value: word },
        );
      }
      for (const id of wordIds) ids.push(id);
    }
  }

  #encodeWord(word: string): EncodedWord {
    const cached = this.#words.get(word);
    if (cached !== undefined) return cached;
    const encoded = toByteAlphabet(word);
    const tokens = this.#merger.encode([encoded]);
    // The merger leaves out what the vocabulary lacks.
    const covered = tokens.reduce((length, token) => length + token.length, 0);
    const result = { ids: tokens.map((token) => this.#ids.get(token)!), complete: covered === encoded.length };
    if (word.length <= CACHED_WORD_LENGTH) {
      if (this.#words.size >= CACHED_WORDS) this.#words.clear();
      this.#words.set(word, result);
    }
    return result;
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const decoder = this.streamDecoder(options);
    let text = '';
    for (let i = 0; i < ids.length; i++) text += decoder.push(ids[i]!);
    return text + decoder.end();
  }

  streamDecoder({ skipSpecial = true }: DecodeOptions = {}): StreamDecoder {
    // A byte order mark is text like any other here.
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => {
        const bytes = this.bytesOf(id);
        return skipSpecial && isSpecial(this.#vocabulary.kinds[id]) ? '' : utf8.decode(bytes, { stream: true });
      },
      end: () => utf8.decode(),
    };
  }

  bytesOf(id: number): Uint8Array {
    const { tokens, kinds } = this.#vocabulary;
    const token = tokens[id];
    if (token === undefined) {
      throw new ModelsError('MODELS_ARGUMENT', `there is no token ${id}; ids go from 0 to ${tokens.length - 1}`, {
        value: id,
      });
    }
    const kind = kinds[id];
    if (kind === TOKEN_KIND.normal) return fromByteAlphabet(token);
    if (isSpecial(kind) || kind === TOKEN_KIND.userDefined) return new TextEncoder().encode(token);
    return new Uint8Array(0);
  }

  specialId(text: string): number | undefined {
    return this.#specialIds.get(text);
  }
}

function isSpecial(kind: number | undefined): boolean {
  return kind === TOKEN_KIND.control || kind === TOKEN_KIND.unknown;
}

/** "left right" at its first space after the first character: the left side may begin with one. */
function splitMerge(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

/** The text with U+FFFD for each lone surrogate, as UTF-8 encoders write it. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}
