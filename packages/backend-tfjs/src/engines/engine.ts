import type { Supports } from '@lowrank/core';

/** The engines of TensorFlow.js. */
export type EngineName = 'node' | 'wasm' | 'cpu' | 'webgl' | 'webgpu';

/** Element types in an engine; comparisons give `bool`. */
export type ElementType = 'float32' | 'int32' | 'bool';

/** A tensor of an engine, never changed once made. Several may share one piece of memory, which goes with the last. */
export interface EngineTensor {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
}

/** Operands by the names TensorFlow.js has for them; a list for Concat. */
export type Operands = Readonly<Record<string, EngineTensor>> | readonly EngineTensor[];
export type Attributes = Readonly<Record<string, unknown>>;

/**
 * TensorFlow.js's kernels over memory of our own: no tensor made here is one of the application's, and its current
 * backend is neither read nor changed.
 */
export interface Engine {
  readonly name: EngineName;
  readonly supports: Pick<Supports, 'deterministic' | 'nonFinite' | 'maxStorageBytes'>;
  /** Bytes of all storage at most. */
  readonly memoryLimit: number;
  /** Corners where the engine's kernels differ from IEEE 754 or from the interface, which our kernels then work around. */
  readonly quirks: Quirks;

  /** Runs a kernel by the name that TensorFlow.js registers it under. Throws what the engine throws. */
  run(kernel: string, inputs: Operands, attributes?: Attributes): EngineTensor;
  /** The same elements in another shape, without a copy where the engine can. */
  reshape(x: EngineTensor, shape: readonly number[]): EngineTensor;
  /** Copies. */
  write(values: Float32Array | Int32Array, shape: readonly number[]): EngineTensor;
  /** Copies what `x` holds once all that was run so far is done. */
  read(x: EngineTensor): Promise<Float32Array | Int32Array>;
  free(x: EngineTensor): void;
  /** Waits until all that was run so far is done. */
  sync(): Promise<void>;
  /** Bytes that the engine holds beyond those of live tensors, or in their stead: at least `liveBytes`. */
  reservedBytes(liveBytes: number): number;
  /** Tensors that are alive, as the engine counts them. */
  tensorCount(): number;
  dispose(): Promise<void>;
}

export interface Quirks {
  /** Maximum, Minimum, Max and Min may lose a NaN. */
  readonly maximumLosesNaN: boolean;
  /** Sign gives 0 for NaN or for small numbers. */
  readonly signIsRough: boolean;
  /** How a long sum of everything is split depends on the number of threads. */
  readonly sumSplitByThreads: boolean;
  /** Most matrices in one product. */
  readonly maxBatch: number;
  /** Casts to integers saturate by themselves. */
  readonly castSaturates: boolean;
  /** A product is only fast where neither operand is transposed and there is one of each. */
  readonly plainMatmulOnly: boolean;
}
