import { readFile } from 'node:fs/promises';
import type { Adapter, AdapterConfig } from '@lowrank/core';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import type { PeftForm } from './peft-keys.ts';

/** A PEFT configuration, and the plugin that understands it. */
export interface ReadPeftConfig {
  readonly adapter: Adapter;
  readonly form: PeftForm;
  readonly config: AdapterConfig;
  /** As it stands in the file. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** What the file must say for itself, though PEFT has defaults: left out, it is not whole. */
const required: Readonly<Record<string, readonly string[]>> = { LORA: ['r', 'lora_alpha'] };

/**
 * Reads an adapter_config.json.
 * @param adapters the plugins to choose from.
 * @throws ModelsError MODELS_ADAPTER, naming the file and the key.
 */
export async function readPeftConfig(path: string, adapters: readonly Adapter[]): Promise<ReadPeftConfig> {
  const raw = await readObject(path);
  const peftType = raw['peft_type'];
  const known = adapters.flatMap((adapter) =>
    'unsupported' in adapter.files.peft ? [] : [{ adapter, form: adapter.files.peft }],
  );
  const candidates = known.filter(({ form }) => form.peftType === peftType);
  if (candidates.length === 0) {
    const types = [...new Set(known.map(({ form }) => form.peftType))].join(', ');
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path}: peft_type is ${JSON.stringify(peftType) ?? 'missing'}; known here: ${types}`,
      { value: peftType },
    );
  }
  const missing = required[peftType as string]?.find((key) => raw[key] === undefined || raw[key] === null);
  if (missing !== undefined) {
    throw new ModelsError('MODELS_ADAPTER', `${path}: ${missing} is missing; without it the adapter is not whole`, {
      value: missing,
    });
  }
  const failures: unknown[] = [];
  for (const { adapter, form } of candidates) {
    try {
      return { adapter, form, config: form.fromConfig(raw), raw };
    } catch (error) {
      failures.push(error);
    }
  }
  // Of several plugins (LoRA, DoRA) the one that is not meant says only that.
  const cause = failures.find((error) => (error as { path?: string }).path !== 'use_dora') ?? failures[0];
  throw new ModelsError('MODELS_ADAPTER', `${path}: ${messageOf(cause)}`, {
    value: (cause as { path?: string }).path,
    cause,
  });
}

async function readObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new ModelsError('MODELS_ADAPTER', `${path} cannot be read: ${messageOf(cause)}`, { value: path, cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ModelsError('MODELS_ADAPTER', `${path} is not a JSON object`, { value });
}
