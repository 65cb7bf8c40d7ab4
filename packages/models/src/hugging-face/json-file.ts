import { readFile } from 'node:fs/promises';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A JSON object from a file; undefined where there is no such file.
 * @throws ModelsError MODELS_METADATA for what is no JSON object.
 */
export async function readJsonFile(path: string): Promise<JsonObject | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelsError('MODELS_METADATA', `${path} cannot be read: ${messageOf(cause)}`, { value: path, cause });
  }
  if (isObject(value)) return value;
  throw new ModelsError('MODELS_METADATA', `${path} is not a JSON object`, { value });
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
