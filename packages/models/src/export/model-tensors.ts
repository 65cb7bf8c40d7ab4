import { decodeArray, type ArrayFormat, type HostArray } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { hasOwnOrder, reorderRows, rowOrderOf, type RowOrder } from '../adapters/row-order.ts';
import { modulePath } from '../architectures/names.ts';
import { isFolder } from '../causal-lm/base-model.ts';
import type { Base } from '../adapters/base.ts';
import type { HfFolder } from '../hugging-face/hf-folder.ts';
import { ModelsError } from '../models-error.ts';
import type { Changes } from './changes.ts';

/** A tensor of a model as it is to be written. */
export interface ModelTensor {
  /** The module's path, as Hugging Face has it: `model.layers.0.mlp.up_proj`. */
  readonly path: string;
  readonly part: 'weight' | 'bias';
  readonly shape: readonly number[];
  /** How the base stores it. */
  readonly format: ArrayFormat;
  /** Whether adapters change it. */
  readonly changed: boolean;
  /** As the base stores it; of a changed one, its values as f32. */
  readonly load: () => Promise<HostArray>;
}

/** The tensors of a base with adapters merged in, in the base's order, the rows of q and k as `rowOrder` says. */
export function modelTensors(
  file: GgufFile | HfFolder,
  model: Base,
  changes: Changes,
  rowOrder: RowOrder,
): ModelTensor[] {
  const { config } = model;
  const tensors = storedTensors(file, model).map((stored): ModelTensor => {
    const { path, part, shape, format, read } = stored;
    const name = `${path}.${part}`;
    const changed = changes.names.has(name);
    const moved = rowOrderOf(config) !== rowOrder && hasOwnOrder(config, path);
    const turn = (array: HostArray): HostArray => (moved ? reorderRows(array, config.headSize, rowOrder) : array);
    return {
      path,
      part,
      shape,
      format,
      changed,
      load: async () => turn(changed ? await merged(name, stored) : await read()),
    };
  });
  if (!changes.unties) return tensors;
  // The head is written under its own name: the embedding's table, changed in its own way.
  const table = storedTensors(file, model).find(({ path }) => path === 'model.embed_tokens')!;
  const changed = changes.names.has('lm_head.weight');
  const load = (): Promise<HostArray> => (changed ? merged('lm_head.weight', table) : table.read());
  return [...tensors, { ...table, path: 'lm_head', changed, load }];

  async function merged(name: string, { shape, read }: Stored): Promise<HostArray> {
    const data = await changes.values(name, async () => decodeArray(await read()));
    return { format: 'f32', shape, data };
  }
}

interface Stored {
  readonly path: string;
  readonly part: 'weight' | 'bias';
  readonly shape: readonly number[];
  readonly format: ArrayFormat;
  readonly read: () => Promise<HostArray>;
}

/** The tensors of modules; a GGUF's table of RoPE's factors is not one. */
function storedTensors(file: GgufFile | HfFolder, { config }: Base): Stored[] {
  const stored: Stored[] = [];
  const source = isFolder(file) ? file.weights : file;
  for (const [name, { shape, format, type }] of source.tensors) {
    const match = /^(.+)\.(weight|bias)$/.exec(name);
    const path = match === null ? undefined : isFolder(file) ? match[1]! : modulePath(config.architecture, match[1]!);
    if (path === undefined || match === null) continue;
    if (format === undefined) {
      throw new ModelsError('MODELS_TENSOR', `the tensor ${name} is stored as ${type}, which cannot be read`, {
        value: type,
      });
    }
    stored.push({ path, part: match[2] as 'weight' | 'bias', shape, format, read: () => source.read(name) });
  }
  return stored;
}
