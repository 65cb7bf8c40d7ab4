import type { BlockFormat, DType, Storage } from '@lowrank/core';
import type { Block } from './allocator.ts';

/** A range of an engine's memory with the type of what is in it. */
export class CpuStorage implements Storage {
  readonly dtype: DType | BlockFormat;
  readonly length: number;
  readonly byteLength: number;
  /** The backend it belongs to. */
  readonly owner: object;
  readonly block: Block;
  freed = false;

  constructor(owner: object, block: Block, dtype: DType | BlockFormat, length: number, byteLength: number) {
    this.owner = owner;
    this.block = block;
    this.dtype = dtype;
    this.length = length;
    this.byteLength = byteLength;
  }
}
