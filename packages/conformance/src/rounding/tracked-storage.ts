import type { DType, Storage } from '@lowrank/core';
import { refuse } from '../reference/heap.ts';

/** Numbers in float64, and how far from each of them a backend of the tracked precision may be. */
export class TrackedStorage implements Storage {
  readonly dtype: DType;
  readonly length: number;
  readonly byteLength: number;
  readonly value: Float64Array | Int32Array;
  /** At least 0, one for each number; integers are exact. */
  readonly error: Float64Array;
  freed = false;

  constructor(value: Float64Array | Int32Array, error?: Float64Array) {
    this.dtype = value instanceof Int32Array ? 'i32' : 'f32';
    this.length = value.length;
    this.byteLength = value.byteLength;
    this.value = value;
    this.error = error ?? new Float64Array(value.length);
  }

  /** The numbers of an f32 operand. */
  get f32(): Float64Array {
    return this.value as Float64Array;
  }

  get i32(): Int32Array {
    return this.value as Int32Array;
  }

  /** |value| + error: the largest magnitude the backend's number can have. */
  get magnitude(): Float64Array {
    return Float64Array.from(this.error, (error, i) => Math.abs(this.value[i]!) + error);
  }
}

/** An operand as this backend made it. */
export function tracked(storage: Storage): TrackedStorage {
  if (!(storage instanceof TrackedStorage) || storage.freed) {
    throw refuse(
      'rounding',
      storage instanceof TrackedStorage ? 'the operand was freed before' : 'the operand is not storage of this backend',
      storage,
    );
  }
  return storage;
}
