import { decodeArray, encodeArray, type ArrayFormat, type EncodableFormat } from '@lowrank/core';
import { writeGguf, type GgufFile, type GgufTensorInput, type GgufValue } from '@lowrank/io-gguf';
import { ggufName } from '../architectures/names.ts';
import { isFolder } from '../causal-lm/base-model.ts';
import type { Base } from '../adapters/base.ts';
import type { HfFolder } from '../hugging-face/hf-folder.ts';
import { ggufMetadataFromFolder } from '../hugging-face/to-gguf-metadata.ts';
import { changesOf } from './changes.ts';
import { adaptersOf, matrixFormat, type MergeOptions, type MergeType } from './merge-options.ts';
import { modelTensors, type ModelTensor } from './model-tensors.ts';

/** `general.file_type`, llama.cpp's number for the type of most tensors. */
const fileTypes: Readonly<Record<EncodableFormat, number>> = { f32: 0, f16: 1, q4_0: 2, q4_1: 3, q8_0: 7, bf16: 32 };

const ropeFactors = 'rope_freqs.weight';

/**
 * Writes a model with adapters merged in as a GGUF that needs none; atomic, one tensor in memory at a time. Resolves to its
 * size in bytes. A head that was tied to the embedding gets its own `output.weight` once only one of them changes. From a Hugging
 * Face folder the rows of q and k are brought into llama.cpp's order, and the tokenizer goes along.
 * @param model the loaded one that the adapters sit on; to convert only, what `openBaseModel` gave is enough.
 * @throws AdapterError when an adapter cannot be merged; ModelsError MODELS_TENSOR for a row length that the type
 * cannot hold; GgufError when the file cannot be written.
 */
export async function writeMergedGguf(
  path: string,
  file: GgufFile | HfFolder,
  model: Base,
  options: MergeOptions = {},
): Promise<number> {
  const { type = 'f16', onProgress } = options;
  const changes = changesOf(model, adaptersOf(options));
  const tensors = [
    ...(await factorTensors(file, model)),
    ...modelTensors(file, model, changes, 'gguf').map((tensor) => planned(tensor, model, type)),
  ];
  let done = 0;
  const counted = tensors.map((tensor) => ({
    ...tensor,
    load: async () => {
      const array = await tensor.load();
      onProgress?.(++done, tensors.length);
      return array;
    },
  }));
  return writeGguf(path, { metadata: await metadataFor(file, type), tensors: counted });
}

type Planned = Extract<GgufTensorInput, { load: unknown }>;

function planned(tensor: ModelTensor, model: Base, type: MergeType): Planned {
  const { path, part, shape, load } = tensor;
  const name = `${ggufName(model.config.architecture, path)}.${part}`;
  const format = formatFor(name, tensor, type);
  return {
    name,
    format,
    shape,
    load: async () => {
      const array = await load();
      return array.format === format ? array : encodeArray(decodeArray(array), shape, format as EncodableFormat);
    },
  };
}

/** llama.cpp wants vectors (norms, biases) in f32; a GGUF's stay as they are. */
function formatFor(name: string, { shape, format, changed }: ModelTensor, type: MergeType): ArrayFormat {
  if (shape.length < 2) return changed || format === 'f16' || format === 'bf16' ? 'f32' : format;
  return matrixFormat(name, shape.at(-1)!, type, !changed || format in fileTypes ? format : 'f16');
}

/** Llama 3's divisors, from the GGUF's tensor or the folder's configuration. */
async function factorTensors(file: GgufFile | HfFolder, { config }: Base): Promise<Planned[]> {
  if (!isFolder(file)) {
    const info = file.tensors.get(ropeFactors);
    if (info?.format === undefined) return [];
    return [{ name: ropeFactors, format: info.format, shape: info.shape, load: () => file.read(ropeFactors) }];
  }
  if (config.ropeFactors === undefined) return [];
  const array = { format: 'f32' as const, shape: [config.ropeFactors.length], data: config.ropeFactors };
  return [{ name: ropeFactors, format: 'f32', shape: array.shape, load: () => array }];
}

async function metadataFor(file: GgufFile | HfFolder, type: MergeType): Promise<Map<string, GgufValue>> {
  const metadata = new Map<string, GgufValue>(isFolder(file) ? await ggufMetadataFromFolder(file) : file.metadata);
  if (type !== 'keep') metadata.set('general.file_type', { type: 'u32', value: fileTypes[type] });
  return metadata;
}
