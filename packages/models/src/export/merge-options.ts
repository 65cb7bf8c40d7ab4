import type { ArrayFormat, EncodableFormat, InjectedAdapter } from '@lowrank/core';
import { ModelsError } from '../models-error.ts';
import type { WeightedAdapter } from './changes.ts';

/** How a written model's matrices are stored; `keep` leaves each as it is where that can be written. */
export type MergeType = EncodableFormat | 'keep';

export const mergeTypes: readonly MergeType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'keep'];

export interface MergeOptions {
  /** Default f16. */
  readonly type?: MergeType;
  /** Merged into the weights; without it the model is only converted. */
  readonly adapter?: InjectedAdapter;
  /** Several of them, each with its weight. */
  readonly adapters?: readonly WeightedAdapter[];
  readonly onProgress?: (written: number, total: number) => void;
}

/** All adapters of the options. */
export function adaptersOf({ adapter, adapters = [] }: MergeOptions): readonly WeightedAdapter[] {
  return adapter === undefined ? adapters : [{ adapter }, ...adapters];
}

/**
 * The format of a matrix that is to be written as `type`.
 * @param kept what `keep` gives.
 * @throws ModelsError MODELS_TENSOR for a row length that the type cannot hold.
 */
export function matrixFormat(name: string, columns: number, type: MergeType, kept: ArrayFormat): ArrayFormat {
  if (type === 'keep') return kept;
  const blockSize = type.startsWith('q') ? 32 : 1;
  if (columns % blockSize === 0) return type;
  throw new ModelsError(
    'MODELS_TENSOR',
    `${name} has rows of ${columns}, which ${type} cannot hold (blocks of ${blockSize}); choose f16 or f32`,
    { value: columns },
  );
}
