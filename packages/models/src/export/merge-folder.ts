import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { decodeArray, encodeArray } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { writeSafetensorsModel, type SafetensorsTensorInput } from '@lowrank/io-safetensors';
import { isFolder } from '../causal-lm/base-model.ts';
import type { Base } from '../adapters/base.ts';
import type { HfFolder } from '../hugging-face/hf-folder.ts';
import type { JsonObject } from '../hugging-face/json-file.ts';
import {
  configJson,
  generationJson,
  tokenizerJson,
  tokenizerSettings,
  type TorchDtype,
} from '../hugging-face/from-gguf.ts';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import { tokenizerFromGguf } from '../tokenizer/index.ts';
import { changesOf } from './changes.ts';
import { adaptersOf, type MergeOptions, type MergeType } from './merge-options.ts';
import { modelTensors, type ModelTensor } from './model-tensors.ts';

/** The types that a folder's weights can have. */
const dtypes = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;
const torchNames: Readonly<Record<keyof typeof dtypes, TorchDtype>> = {
  f32: 'float32',
  f16: 'float16',
  bf16: 'bfloat16',
};

/** The types that a model folder can be written in. */
export const folderTypes: readonly MergeType[] = ['f32', 'f16', 'bf16', 'keep'];

/** What is taken over from a folder beside the weights and their index. */
const companion = /^(?!config\.json$).*\.(?:json|jinja|txt|model|md)$|^LICENSE/;
const index = 'model.safetensors.index.json';

/**
 * Writes a model with adapters merged in as a Hugging Face folder: config.json, safetensors (in shards from 5 GB on), tokenizer.
 * From a GGUF the rows of q and k are brought back into Hugging Face's order. Resolves to bytes of weights.
 * @throws ModelsError MODELS_ARGUMENT for a block-quantized type, MODELS_OUTPUT when the system refuses, and as `writeMergedGguf`.
 */
export async function writeMergedFolder(
  folder: string,
  file: GgufFile | HfFolder,
  model: Base,
  options: MergeOptions = {},
): Promise<number> {
  const { type = 'f16', onProgress } = options;
  if (!folderTypes.includes(type)) {
    throw new ModelsError(
      'MODELS_ARGUMENT',
      `a Hugging Face folder cannot hold ${type}; choose ${folderTypes.join(', ')}, or write a GGUF`,
      { value: type },
    );
  }
  const changes = changesOf(model, adaptersOf(options));
  const tied = model.tied && !changes.unties;
  const planned = modelTensors(file, model, changes, 'hf');
  const dtype =
    torchNames[
      formatOf(
        planned.find(({ path }) => path === 'model.embed_tokens')!,
        type,
      )
    ];
  const companions = isFolder(file)
    ? { 'config.json': { ...file.json, tie_word_embeddings: tied, torch_dtype: dtype, dtype } }
    : await fromGguf(file, model, tied, dtype);
  let done = 0;
  const tensors = planned.map((tensor): SafetensorsTensorInput => ({
    name: `${tensor.path}.${tensor.part}`,
    dtype: dtypes[formatOf(tensor, type)],
    shape: tensor.shape,
    load: async () => {
      const format = formatOf(tensor, type);
      const array = await tensor.load();
      onProgress?.(++done, planned.length);
      return array.format === format && !(array.data instanceof Float64Array)
        ? array
        : encodeArray(decodeArray(array), tensor.shape, format);
    },
  }));
  await prepare(folder, file, companions);
  return (await writeSafetensorsModel(folder, { tensors })).bytes;
}

/** Blocks become f16 where nothing else was asked for. */
function formatOf({ format }: ModelTensor, type: MergeType): keyof typeof dtypes {
  const wanted = type === 'keep' ? format : type;
  return wanted in dtypes ? (wanted as keyof typeof dtypes) : 'f16';
}

async function fromGguf(
  file: GgufFile,
  { config }: Base,
  tied: boolean,
  dtype: TorchDtype,
): Promise<Record<string, JsonObject>> {
  const { metadata } = file;
  const tokenizer = tokenizerFromGguf(metadata);
  return {
    'config.json': await configJson(file, config, tokenizer, tied, dtype),
    'generation_config.json': generationJson(tokenizer),
    'tokenizer.json': tokenizerJson(metadata, tokenizer),
    'tokenizer_config.json': tokenizerSettings(metadata, tokenizer),
  };
}

/** Makes the folder and all in it but the weights. */
async function prepare(
  folder: string,
  file: GgufFile | HfFolder,
  companions: Readonly<Record<string, JsonObject>>,
): Promise<void> {
  try {
    if (isFolder(file) && resolve(folder) === resolve(file.path)) {
      throw new Error('it is the base itself; give another folder');
    }
    await mkdir(folder, { recursive: true });
    for (const name of isFolder(file) ? await readdir(file.path) : []) {
      if (companion.test(name) && name !== index) {
        await copyFile(join((file as HfFolder).path, name), join(folder, name));
      }
    }
    for (const [name, json] of Object.entries(companions)) {
      await writeFile(join(folder, name), `${JSON.stringify(json, undefined, 2)}\n`, { flush: true });
    }
  } catch (cause) {
    throw new ModelsError('MODELS_OUTPUT', `${folder} cannot be written: ${messageOf(cause)}`, {
      value: folder,
      cause,
    });
  }
}
