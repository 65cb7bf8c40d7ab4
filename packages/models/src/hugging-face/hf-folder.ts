import { join } from 'node:path';
import { openSafetensorsModel, type SafetensorsReader } from '@lowrank/io-safetensors';
import type { Base } from '../adapters/base.ts';
import type { CausalLmConfig } from '../causal-lm/config.ts';
import type { WeightSource } from '../causal-lm/weight-source.ts';
import { ModelsError } from '../models-error.ts';
import { configFromJson } from './config-json.ts';
import { readJsonFile, type JsonObject } from './json-file.ts';

/** A model as Hugging Face stores it, open: config.json read, weights read when asked for. Close it when done. */
export interface HfFolder extends Base, AsyncDisposable {
  /** The folder. */
  readonly path: string;
  readonly json: JsonObject;
  readonly config: CausalLmConfig;
  readonly weights: WeightSource;
  close(): Promise<void>;
}

/**
 * Opens a model folder: config.json, and model.safetensors or its shards. The tokenizer comes from `tokenizerFromFolder`.
 * @throws ModelsError MODELS_MODEL_NOT_FOUND where there is no config.json, MODELS_ARCHITECTURE or MODELS_METADATA as
 * `configFromJson`; SafetensorsError for weights that are missing or damaged.
 */
export async function openHfFolder(path: string): Promise<HfFolder> {
  const configPath = join(path, 'config.json');
  const json = await readJsonFile(configPath);
  if (json === undefined) {
    throw new ModelsError(
      'MODELS_MODEL_NOT_FOUND',
      `${path} has no config.json; give the folder of a Hugging Face model, or the path of a .gguf file`,
      { value: path },
    );
  }
  const config = configFromJson(json, configPath);
  const file = await openSafetensorsModel(path);
  const tied = json['tie_word_embeddings'] === true;
  return {
    path,
    json,
    config,
    tied,
    weights: folderWeights(file, config, tied),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

function folderWeights(file: SafetensorsReader, config: CausalLmConfig, tied: boolean): WeightSource {
  // Tables of RoPE that old checkpoints hold, and a head that is the embedding's table once more.
  const unused = (name: string): boolean =>
    name.endsWith('.rotary_emb.inv_freq') || (tied && name === 'lm_head.weight');
  return {
    name: file.name,
    config,
    tensors: new Map(
      [...file.tensors].filter(([name]) => !unused(name)).map(([name, info]) => [name, { ...info, type: info.dtype }]),
    ),
    tied,
    nameOf: (path, part) => `${path}.${part}`,
    read: (name) => file.read(name),
  };
}
