import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChatTemplate } from '../chat/chat-template.ts';
import { ModelsError } from '../models-error.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { isObject, readJsonFile, type JsonObject } from './json-file.ts';
import { textOf, tokenizerFromJson } from './tokenizer-json.ts';

/**
 * The tokenizer of a model folder, from tokenizer.json, and what tokenizer_config.json, generation_config.json and config.json say
 * of it.
 * @throws ModelsError MODELS_TOKENIZER_UNSUPPORTED where there is no tokenizer.json, and as `tokenizerFromJson`.
 */
export async function tokenizerFromFolder(folder: string): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const json = await readJsonFile(path);
  if (json === undefined) {
    throw new ModelsError(
      'MODELS_TOKENIZER_UNSUPPORTED',
      `${folder} has no tokenizer.json; save the tokenizer there (transformers' fast tokenizers write it)`,
      { value: path },
    );
  }
  const beside = async (name: string): Promise<JsonObject> => (await readJsonFile(join(folder, name))) ?? {};
  const files = {
    settings: await beside('tokenizer_config.json'),
    generation: await beside('generation_config.json'),
    model: await beside('config.json'),
  };
  return tokenizerFromJson(json, files, path);
}

/** A folder's chat template: chat_template.jinja, or what tokenizer_config.json has; undefined where there is none. */
export async function chatTemplateFromFolder(folder: string, tokenizer: Tokenizer): Promise<ChatTemplate | undefined> {
  const settings = (await readJsonFile(join(folder, 'tokenizer_config.json'))) ?? {};
  const source =
    (await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined)) ??
    templateIn(settings['chat_template']);
  if (source === undefined) return undefined;
  const text = (name: string, id: number | undefined): string =>
    textOf(settings[name]) || (id === undefined ? '' : tokenizer.decode([id], { skipSpecial: false }));
  return { source, bosToken: text('bos_token', tokenizer.bosId), eosToken: text('eos_token', tokenizer.eosId) };
}

/** One template, or the one called default of several. */
function templateIn(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const found = (value as unknown[]).find((entry) => isObject(entry) && entry['name'] === 'default');
  return isObject(found) && typeof found['template'] === 'string' ? found['template'] : undefined;
}
