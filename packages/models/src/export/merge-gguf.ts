import {
  decodeArray,
  encodeArray,
  type ArrayFormat,
  type EncodableFormat,
  type HostArray,
  type InjectedAdapter,
} from '@lowrank/core';
import { writeGguf, type GgufFile, type GgufTensorInfo, type GgufTensorInput, type GgufValue } from '@lowrank/io-gguf';
import { ggufName } from '../architectures/names.ts';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { ModelsError } from '../models-error.ts';

/** How a written model's matrices are stored; `keep` leaves each as it is where that can be written. */
export type MergeType = EncodableFormat | 'keep';

export const mergeTypes: readonly MergeType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'keep'];

/** `general.file_type`, llama.cpp's number for the type of most tensors. */
const fileTypes: Readonly<Record<EncodableFormat, number>> = { f32: 0, f16: 1, q4_0: 2, q4_1: 3, q8_0: 7, bf16: 32 };

export interface MergeOptions {
  /** Default f16. */
  readonly type?: MergeType;
  /** Merged into the weights; without it the model is only converted. */
  readonly adapter?: InjectedAdapter;
  readonly onProgress?: (written: number, total: number) => void;
}

/**
 * Writes a model with an adapter merged in as a GGUF that needs no adapter; atomic, one tensor in memory at a time.
 * Resolves to its size in bytes. A head that was tied to the embedding gets its own `output.weight` once only one of
 * them changes.
 * @throws AdapterError when the adapter cannot be merged; ModelsError MODELS_TENSOR for a row length that the type
 * cannot hold; GgufError when the file cannot be written.
 */
export async function writeMergedGguf(
  path: string,
  file: GgufFile,
  model: CausalLm,
  options: MergeOptions = {},
): Promise<number> {
  const { type = 'f16', adapter, onProgress } = options;
  const tensors = plan(file, model, type, adapter);
  let written = 0;
  const counted = tensors.map((tensor) => ({
    ...tensor,
    load: async () => {
      const array = await tensor.load();
      onProgress?.(++written, tensors.length);
      return array;
    },
  }));
  return writeGguf(path, { metadata: metadataFor(file, type), tensors: counted });
}

type Planned = Extract<GgufTensorInput, { load: unknown }>;

function plan(file: GgufFile, model: CausalLm, type: MergeType, adapter: InjectedAdapter | undefined): Planned[] {
  const sites = new Map(
    (adapter?.sites ?? []).map((site) => [`${ggufName(model.config.architecture, site.path)}.weight`, site.path]),
  );
  const planned = [...file.tensors.values()].map((info) =>
    plannedTensor(file, info, info.name, type, adapter, sites.get(info.name)),
  );
  const untied = model.tied && (sites.has('token_embd.weight') || sites.has('output.weight'));
  if (!untied) return planned;
  const table = file.tensors.get('token_embd.weight')!;
  return [...planned, plannedTensor(file, table, 'output.weight', type, adapter, sites.get('output.weight'))];
}

function plannedTensor(
  file: GgufFile,
  info: GgufTensorInfo,
  name: string,
  type: MergeType,
  adapter: InjectedAdapter | undefined,
  site: string | undefined,
): Planned {
  const format = formatFor(info, type, site !== undefined);
  const { shape } = info;
  return {
    name,
    format,
    shape,
    load: async () => {
      if (site !== undefined) return encode(await (await adapter!.mergedWeight(site)).values(), shape, format);
      const array = await file.read(info.name);
      return array.format === format ? array : encode(decodeArray(array), shape, format);
    },
  };
}

/** Vectors stay as they are: llama.cpp wants norms in f32. */
function formatFor(info: GgufTensorInfo, type: MergeType, changed: boolean): ArrayFormat {
  const own = info.format;
  if (own === undefined) {
    throw new ModelsError('MODELS_TENSOR', `the tensor ${info.name} is stored as ${info.type}, which cannot be read`, {
      value: info.type,
    });
  }
  if (info.shape.length < 2) return own;
  if (type === 'keep') return !changed || own in fileTypes ? own : 'f16';
  const columns = info.shape.at(-1)!;
  const blockSize = type.startsWith('q') ? 32 : 1;
  if (columns % blockSize !== 0) {
    throw new ModelsError(
      'MODELS_TENSOR',
      `${info.name} has rows of ${columns}, which ${type} cannot hold (blocks of ${blockSize}); choose f16 or f32`,
      { value: columns },
    );
  }
  return type;
}

function encode(values: Float32Array, shape: readonly number[], format: ArrayFormat): HostArray {
  return encodeArray(values, shape, format as EncodableFormat);
}

function metadataFor(file: GgufFile, type: MergeType): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>(file.metadata);
  if (type !== 'keep') metadata.set('general.file_type', { type: 'u32', value: fileTypes[type] });
  return metadata;
}
