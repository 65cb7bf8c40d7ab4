import type { BackendError, BlockFormat, DType, Storage } from '@lowrank/core';

/** A GPU buffer of the pool. */
export interface PooledBuffer {
  readonly buffer: GPUBuffer;
  /** Bytes: its size class. */
  readonly size: number;
  /** Names it in keys of bind groups. */
  readonly id: number;
  /** The last batch of commands that uses it. What is written by the queue itself must not overtake that one. */
  batch: number;
  /** Why it could not be made, as the device has told since. */
  failure: BackendError | undefined;
}

/** A buffer with the type of what is in it. */
export class WebgpuStorage implements Storage {
  readonly dtype: DType | BlockFormat;
  readonly length: number;
  readonly byteLength: number;
  /** The backend it belongs to. */
  readonly owner: object;
  readonly pooled: PooledBuffer;
  /** Scratch and lists are not counted as live storage. */
  readonly counted: boolean;
  freed = false;
  /** The word that all of it is to hold: a fill that is put off until a program reads or changes the memory. */
  fill: number | undefined;

  constructor(
    owner: object,
    pooled: PooledBuffer,
    dtype: DType | BlockFormat,
    length: number,
    byteLength: number,
    counted: boolean,
  ) {
    this.owner = owner;
    this.pooled = pooled;
    this.dtype = dtype;
    this.length = length;
    this.byteLength = byteLength;
    this.counted = counted;
  }
}
