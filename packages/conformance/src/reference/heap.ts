/**
 * The reference's memory: plain typed arrays, counted, and checked strictly. A freed, foreign, wrongly typed or wrongly
 * sized operand is an error that names the kernel, so that running anything on the reference also checks its calls.
 */
import { BackendError } from '@lowrank/core';
import type { BlockFormat, DType, MemoryUse, Storage } from '@lowrank/core';

/** Numbers as the reference computes with them: `f32` operands are held in float64. */
type Numbers = Float64Array | Int32Array;

/** Largest single storage. */
export const maxStorageBytes: number = 2 ** 32;

/** A block-quantized matrix: its bytes as uploaded. */
export interface Blocks {
  readonly format: BlockFormat;
  readonly rows: number;
  readonly columns: number;
  readonly bytes: Uint8Array;
}

class ReferenceStorage implements Storage {
  readonly dtype: DType | BlockFormat;
  readonly length: number;
  readonly byteLength: number;
  readonly owner: Heap;
  content: Numbers | Blocks | undefined;

  constructor(owner: Heap, dtype: DType | BlockFormat, length: number, byteLength: number, content: Numbers | Blocks) {
    this.owner = owner;
    this.dtype = dtype;
    this.length = length;
    this.byteLength = byteLength;
    this.content = content;
  }
}

export class Heap {
  private liveBytes = 0;
  private peakBytes = 0;
  private liveStorages = 0;
  private disposed = false;

  /** Takes ownership of `data` as a new storage. */
  adopt(data: Numbers): Storage {
    const dtype = data instanceof Int32Array ? 'i32' : 'f32';
    return this.register(new ReferenceStorage(this, dtype, data.length, data.byteLength, data));
  }

  adoptBlocks(blocks: Blocks): Storage {
    const length = blocks.rows * blocks.columns;
    return this.register(new ReferenceStorage(this, blocks.format, length, blocks.bytes.byteLength, blocks));
  }

  /** The numbers of an `f32` operand of exactly `length` elements. */
  f32(kernel: string, name: string, storage: Storage, length: number): Float64Array {
    return this.numbers(kernel, name, storage, 'f32', length) as Float64Array;
  }

  i32(kernel: string, name: string, storage: Storage, length: number): Int32Array {
    return this.numbers(kernel, name, storage, 'i32', length) as Int32Array;
  }

  /** The numbers of an operand of either type. */
  either(kernel: string, name: string, storage: Storage, length: number): Numbers {
    const dtype = storage.dtype === 'i32' ? 'i32' : 'f32';
    return this.numbers(kernel, name, storage, dtype, length);
  }

  blocks(kernel: string, name: string, storage: Storage, format: BlockFormat, rows: number, columns: number): Blocks {
    const content = this.content(kernel, name, storage);
    if (!('bytes' in content) || content.format !== format) {
      throw refuse(kernel, `${name} is ${storage.dtype}, but ${format} blocks are needed`, storage.dtype);
    }
    if (content.rows !== rows || content.columns !== columns) {
      throw refuse(
        kernel,
        `${name} was uploaded as [${content.rows}, ${content.columns}], but the call says [${rows}, ${columns}]`,
        [rows, columns],
      );
    }
    return content;
  }

  /** What `read` gives: a copy. */
  copyOut(storage: Storage): Float64Array | Int32Array | Uint8Array {
    const content = this.content('read', 'storage', storage);
    return 'bytes' in content ? content.bytes.slice() : content.slice();
  }

  free(storage: Storage): void {
    this.content('free', 'storage', storage);
    (storage as ReferenceStorage).content = undefined;
    this.liveBytes -= storage.byteLength;
    this.liveStorages--;
  }

  memory(): MemoryUse {
    const { liveBytes, peakBytes, liveStorages } = this;
    return { liveBytes, peakBytes, liveStorages, reservedBytes: liveBytes };
  }

  resetPeak(): void {
    this.peakBytes = this.liveBytes;
  }

  dispose(): void {
    this.disposed = true;
    this.liveBytes = 0;
    this.liveStorages = 0;
  }

  /** Throws once the backend is disposed of. */
  assertUsable(call: string): void {
    if (this.disposed) {
      throw new BackendError('BACKEND_DISPOSED', `${call}: the reference backend was disposed of; make a new one`, {
        kernel: call,
      });
    }
  }

  private register(storage: ReferenceStorage): Storage {
    this.liveBytes += storage.byteLength;
    this.liveStorages++;
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes);
    return storage;
  }

  private content(kernel: string, name: string, storage: Storage): Numbers | Blocks {
    this.assertUsable(kernel);
    if (!(storage instanceof ReferenceStorage) || storage.owner !== this) {
      throw refuse(kernel, `${name} is not storage of this backend; read it there and upload it here`, storage);
    }
    if (storage.content === undefined) {
      const message = `${kernel}: ${name} (${storage.dtype}, ${storage.length} elements) was freed before; keep it until its last use`;
      throw new BackendError('BACKEND_FREED', message, { kernel });
    }
    return storage.content;
  }

  private numbers(kernel: string, name: string, storage: Storage, dtype: DType, length: number): Numbers {
    const content = this.content(kernel, name, storage);
    if (storage.dtype !== dtype || 'bytes' in content) {
      throw refuse(kernel, `${name} is ${storage.dtype}, but ${dtype} is needed`, storage.dtype);
    }
    if (storage.length !== length) {
      throw refuse(kernel, `${name} has ${storage.length} elements, but the call says ${length}`, storage.length);
    }
    return content;
  }
}

export function refuse(kernel: string, problem: string, value: unknown): BackendError {
  return new BackendError('BACKEND_ARGUMENT', `${kernel}: ${problem}`, { kernel, value });
}

/** The number of elements of a shape of non-negative integers. */
export function sizeOf(kernel: string, name: string, shape: readonly number[]): number {
  let size = 1;
  for (const length of shape) {
    if (!Number.isInteger(length) || length < 0) {
      throw refuse(kernel, `${name} [${shape.join(', ')}] must be non-negative integers`, shape);
    }
    size *= length;
  }
  if (size * Float64Array.BYTES_PER_ELEMENT > maxStorageBytes) {
    const message = `${kernel}: ${name} [${shape.join(', ')}] is beyond supports.maxStorageBytes, ${maxStorageBytes}; split it`;
    throw new BackendError('BACKEND_OUT_OF_MEMORY', message, { kernel, value: shape });
  }
  return size;
}

/** Refuses indices outside 0 .. limit - 1. */
export function assertIndices(kernel: string, name: string, indices: Int32Array, limit: number): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (index < 0 || index >= limit) {
      throw refuse(kernel, `${name}[${i}] = ${index} is outside 0..${limit - 1}`, index);
    }
  }
}
