import type { DType, Storage } from '@lowrank/core';
import type { EngineTensor } from './engines/engine.ts';

/** A tensor of an engine as storage. Kernels that change storage in place put another tensor into it. */
export class TfjsStorage implements Storage {
  readonly dtype: DType;
  readonly length: number;
  readonly byteLength: number;
  /** The backend it belongs to. */
  readonly owner: object;
  /** Undefined once freed. Its shape is whatever the kernel that made it gave it. */
  tensor: EngineTensor | undefined;

  constructor(owner: object, dtype: DType, length: number, tensor: EngineTensor) {
    this.owner = owner;
    this.dtype = dtype;
    this.length = length;
    this.byteLength = length * 4;
    this.tensor = tensor;
  }
}
