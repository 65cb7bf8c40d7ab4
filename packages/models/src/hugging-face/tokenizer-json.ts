import * as library from '@huggingface/tokenizers';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import { fromByteAlphabet } from '../tokenizer/byte-alphabet.ts';
import { BytePairTokenizer, TOKEN_KIND } from '../tokenizer/byte-pair-tokenizer.ts';
import { endOfTurnIds } from '../tokenizer/end-of-turn.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { isObject, type JsonObject } from './json-file.ts';

/** The parts of the library used here; its own declarations do not resolve under Node's module rules. */
interface LibraryTokenizer {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string): string[] } | null;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

const { Tokenizer: Library } = library as unknown as {
  Tokenizer: new (tokenizer: JsonObject, config: JsonObject) => LibraryTokenizer;
};

/** What stands beside tokenizer.json, each `{}` where there is no such file. */
export interface TokenizerFiles {
  /** tokenizer_config.json. */
  readonly settings: JsonObject;
  /** generation_config.json. */
  readonly generation: JsonObject;
  /** config.json. */
  readonly model: JsonObject;
}

/**
 * The tokenizer that a tokenizer.json describes: byte-level byte-pair. Words are split by @huggingface/tokenizers as the file
 * says; merging, special tokens and decoding are as for GGUFs.
 * @throws ModelsError MODELS_TOKENIZER_UNSUPPORTED for another kind, MODELS_METADATA for a file that contradicts itself.
 */
export function tokenizerFromJson(json: JsonObject, files: TokenizerFiles, where: string): Tokenizer {
  const model = json['model'];
  const unsupported = (what: string, value: unknown): ModelsError =>
    new ModelsError(
      'MODELS_TOKENIZER_UNSUPPORTED',
      `${where}: ${what} is ${JSON.stringify(value) ?? 'missing'}; supported: byte-level byte-pair`,
      { value },
    );
  if (!isObject(model) || model['type'] !== 'BPE') {
    throw unsupported('the model', isObject(model) ? model['type'] : model);
  }
  if (!mentions(json['pre_tokenizer'], 'ByteLevel')) throw unsupported('the pre_tokenizer', json['pre_tokenizer']);
  const { tokens, kinds, merges } = jsonVocabulary(json, where);
  const split = splitter(json, where);
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const id = (name: 'bos' | 'eos'): number | undefined =>
    ids.get(textOf(files.settings[`${name}_token`])) ?? firstId(files.model[`${name}_token_id`]);
  const [bosId, eosId] = [id('bos'), id('eos')];
  const around = split.around();
  return new BytePairTokenizer({
    tokens,
    kinds,
    merges,
    ignoreMerges: model['ignore_merges'] === true,
    splitWords: split.words,
    bosId,
    eosId,
    addBos: bosId !== undefined && around[0] === bosId,
    addEos: eosId !== undefined && around.length > 0 && around.at(-1) === eosId && eosId !== bosId,
    endOfTurnIds: endOfTurnIds(tokens, kinds, [
      eosId,
      ...idList(files.generation['eos_token_id']),
      ...idList(files.model['eos_token_id']),
    ]),
  });
}

/**
 * Texts and kinds by id, and merges as "left right".
 * @throws ModelsError MODELS_METADATA for a file that contradicts itself.
 */
export function jsonVocabulary(
  json: JsonObject,
  where: string,
): { tokens: string[]; kinds: number[]; merges: string[] } {
  const model = isObject(json['model']) ? json['model'] : {};
  const fail = (why: string, value: unknown): never => {
    throw new ModelsError('MODELS_METADATA', `${where}: ${why}`, { value });
  };
  const vocab = model['vocab'];
  if (!isObject(vocab)) return fail('model.vocab is not an object', vocab);
  const tokens: string[] = [];
  const kinds: number[] = [];
  const put = (token: unknown, at: unknown, kind: number): void => {
    if (typeof token !== 'string' || !Number.isSafeInteger(at) || (at as number) < 0 || (at as number) > 2 ** 24) {
      fail(`the token ${JSON.stringify(token)} has the id ${JSON.stringify(at)}`, at);
    }
    tokens[at as number] = token as string;
    kinds[at as number] = kind;
  };
  for (const [token, at] of Object.entries(vocab)) put(token, at, TOKEN_KIND.normal);
  const added = json['added_tokens'] ?? [];
  if (!Array.isArray(added)) return fail('added_tokens is not a list', added);
  for (const token of added as unknown[]) {
    if (!isObject(token)) return fail('added_tokens has an entry that is no object', token);
    put(token['content'], token['id'], token['special'] === true ? TOKEN_KIND.control : TOKEN_KIND.userDefined);
  }
  for (let i = 0; i < tokens.length; i++) {
    tokens[i] ??= '';
    kinds[i] ??= TOKEN_KIND.unused;
  }
  return { tokens, kinds, merges: mergesOf(model, where) };
}

/** Newer files have merges as pairs. */
function mergesOf(model: JsonObject, where: string): string[] {
  const list = model['merges'];
  if (!Array.isArray(list)) {
    throw new ModelsError('MODELS_METADATA', `${where}: model.merges is not a list`, { value: list });
  }
  return (list as unknown[]).map((merge, i) => {
    const text = Array.isArray(merge) ? merge.join(' ') : merge;
    if (typeof text === 'string' && text.indexOf(' ', 1) > 0 && !text.endsWith(' ')) return text;
    throw new ModelsError('MODELS_METADATA', `${where}: model.merges[${i}] is not two tokens`, { value: merge });
  });
}

/** How the library splits words, and which ids it puts around a text. */
function splitter(
  json: JsonObject,
  where: string,
): {
  readonly words: (text: string) => string[];
  readonly around: () => number[];
} {
  let tokenizer: LibraryTokenizer;
  try {
    tokenizer = new Library(json, {});
  } catch (cause) {
    throw new ModelsError('MODELS_TOKENIZER_UNSUPPORTED', `${where}: ${messageOf(cause)}`, { value: where, cause });
  }
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    words: (text) => {
      const normal = tokenizer.normalizer?.normalize(text) ?? text;
      // The pieces come in the byte alphabet that the merges are in; characters are never cut.
      return (tokenizer.pre_tokenizer?.pre_tokenize(normal) ?? []).map((piece) => utf8.decode(fromByteAlphabet(piece)));
    },
    around: () => tokenizer.encode('', { add_special_tokens: true }).ids,
  };
}

/** Whether a component or one of those in it is of a type. */
function mentions(component: unknown, type: string): boolean {
  if (!isObject(component)) return false;
  const parts = component['pretokenizers'];
  return component['type'] === type || (Array.isArray(parts) && parts.some((part) => mentions(part, type)));
}

/** A token as tokenizer_config.json has it: its text, or an object with it. */
export function textOf(token: unknown): string {
  if (isObject(token)) return textOf(token['content']);
  return typeof token === 'string' ? token : '';
}

function idList(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id));
}

function firstId(value: unknown): number | undefined {
  return idList(value)[0];
}
