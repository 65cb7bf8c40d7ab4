import { decodeArray } from '../blocks/index.ts';
import type { HostArray } from '../host/arrays.ts';

/** A layer's weight as it was before any adapter, in host memory on demand. */
export interface HostWeight {
  /** [out, in]; an embedding's is [vocabulary, dimension]. */
  readonly shape: readonly [number, number];
  /** How it is stored; merging gives `f32`. */
  readonly format: HostArray['format'];
  /** Decoded to f32, row-major. */
  values(): Promise<Float32Array>;
  /** As it is stored. Absent: as f32. */
  array?(): Promise<HostArray>;
}

/** A host weight over decoded values. */
export function hostWeight(shape: readonly [number, number], values: Float32Array): HostWeight {
  return { shape, format: 'f32', values: () => Promise.resolve(values) };
}

/** A host weight over an array in any format. */
export function hostWeightOf(array: HostArray): HostWeight {
  const [rows, columns] = array.shape as readonly [number, number];
  return {
    shape: [rows, columns],
    format: array.format,
    values: async () => decodeArray(array),
    array: () => Promise.resolve(array),
  };
}
