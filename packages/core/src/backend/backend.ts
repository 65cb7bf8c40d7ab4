/**
 * The backend interface: everything a backend is, on this page and in `kernels.ts` beside it.
 *
 * A backend is memory, kernels and a manifest. Core never asks which backend it has: it reads `supports`, uses a fused
 * kernel where one is offered and composes primitives where not.
 *
 * **Order.** Kernels, `upload` and `free` take effect in the order they are called. They may return before the work is
 * done: memory freed now may be reused by what is enqueued later, never by what is still to run.
 * **Ownership.** A kernel never keeps or frees its operands; it returns fresh storage that the caller owns. Only
 * `accumulate` and the products that accumulate, `writeSlice` and the optimizer kernels change an operand in place.
 * **Layout.** Storage is contiguous and row-major, without shape: shapes come with each call and are checked by core,
 * so a kernel need not check them again. Sizes may be zero.
 * **Failure.** A kernel that can tell at once throws; one that fails later makes the next `read` or `sync` reject, with
 * a `BackendError` that names kernel and shapes.
 */
import type { BlockFormat } from '../host/arrays.ts';
import type { FusedKernels, Primitives } from './kernels.ts';

/** The version of the interface on this page. A plugin of another version is refused. */
export const BACKEND_INTERFACE_VERSION = 1;

/** Element types of operands. `f32` is the backend's working precision: the float64 reference computes it in float64. */
export type DType = 'f32' | 'i32';

/** What `upload` takes and `read` returns. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Memory on a backend: opaque to core, which only passes it back. */
export interface Storage {
  readonly dtype: DType | BlockFormat;
  /** Number of elements (weights, not blocks). */
  readonly length: number;
  /** Bytes it occupies, as `memory()` counts them. */
  readonly byteLength: number;
}

/** What a backend can do; read once. */
export interface Supports {
  /** What `f32` operands are computed in. */
  readonly precision: 'f32' | 'f64';
  /** Formats that `uploadBlocks` takes and `matmulQuantized` and `gatherQuantized` work on. */
  readonly blockFormats: readonly BlockFormat[];
  /** Multiply-adds in sums round once. All such backends of precision f32 without `productOperands` give the same bits. */
  readonly fusedMultiplyAdd: boolean;
  /**
   * What `matmul` and `matmulQuantized` may round their operands to, to nearest, before they multiply; products and their sums stay
   * in `precision`, and so does every other kernel, attention included. `f16`: operands beyond 65,504 become infinite, those below
   * 2^-14 may be flushed to zero. Only where the user asked for it. Absent: nothing is rounded.
   */
  readonly productOperands?: 'bf16' | 'f16';
  /** The same calls give the same bits each time, whatever the number of threads. */
  readonly deterministic: boolean;
  /** NaN and infinities are carried as IEEE 754 says. */
  readonly nonFinite: boolean;
  /** Largest single storage in bytes. */
  readonly maxStorageBytes: number;
}

/** Bytes of storage, as asked for (not as rounded up by an allocator). */
export interface MemoryUse {
  /** Bytes of all storage not yet freed. */
  readonly liveBytes: number;
  /** The most that were live at one time since the backend was made, or since `resetPeak`. */
  readonly peakBytes: number;
  /** Number of storages not yet freed. */
  readonly liveStorages: number;
  /** Bytes the backend holds from the system, pools and scratch included. */
  readonly reservedBytes: number;
}

export interface Backend {
  /** `'cpu'`, `'webgpu'`, `'tfjs:wasm'`. */
  readonly name: string;
  /** What it runs on, for people: `'native x86_64_v4, 2 threads'`, a GPU's name. */
  readonly device?: string;
  readonly interfaceVersion: typeof BACKEND_INTERFACE_VERSION;
  readonly supports: Supports;
  readonly kernels: Primitives & Partial<FusedKernels>;

  /** Copies `data` in; the caller may change `data` as soon as this returns. */
  upload(data: TypedArray, dtype: DType): Storage;

  /**
   * Copies a block-quantized matrix in. `shape` is [rows, columns]; a row is a whole number of blocks.
   * A backend may keep it in a layout of its own. Present when `supports.blockFormats` is not empty.
   */
  uploadBlocks?(bytes: Uint8Array, format: BlockFormat, shape: readonly [number, number]): Storage;

  /** Waits for the work that `storage` depends on and copies it out (blocks: the bytes that were uploaded). */
  read(storage: Storage): Promise<TypedArray>;

  /** Waits until all work enqueued so far is done. */
  sync(): Promise<void>;

  /** Gives memory back. Freeing twice is an error. */
  free(storage: Storage): void;

  memory(): MemoryUse;
  /** Starts `peakBytes` anew from what is live now. */
  resetPeak(): void;

  /** Ends threads and frees everything; later calls throw. */
  dispose(): Promise<void>;
}

export type BackendErrorCode =
  | 'BACKEND_DISPOSED'
  | 'BACKEND_OUT_OF_MEMORY'
  | 'BACKEND_KERNEL'
  | 'BACKEND_NOT_AVAILABLE'
  /** The device is gone (unplugged, reset, destroyed), and with it what it held. */
  | 'BACKEND_LOST'
  | 'BACKEND_FREED'
  | 'BACKEND_ARGUMENT';

/** What backends throw. `kernel` names the kernel at fault, where there is one. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  readonly code: BackendErrorCode;
  readonly kernel: string | undefined;
  readonly value: unknown;

  constructor(
    code: BackendErrorCode,
    message: string,
    options: { kernel?: string; value?: unknown; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kernel = options.kernel;
    this.value = options.value;
  }
}
