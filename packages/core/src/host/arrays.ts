/**
 * What files, hosts and backends hand each other: plain typed arrays with a name, a type and a shape.
 * `io-*` packages know only the types in this file.
 */

/**
 * Block formats: how a frozen weight is stored. The names are ggml's (lower case) and bitsandbytes'.
 * `f16` and `bf16` are block formats of one element.
 */
export type BlockFormat =
  | 'f16'
  | 'bf16'
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q8_0'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'nf4'
  | 'fp4';

/** How an array is stored: plain numbers, or blocks. */
export type ArrayFormat = 'f32' | 'i32' | BlockFormat;

/** An array in host memory. Blocks are bytes (`Uint8Array`), row-major, the last axis contiguous. */
export interface HostArray {
  readonly format: ArrayFormat;
  /** Row-major, outermost axis first (the reverse of ggml's `ne`). */
  readonly shape: readonly number[];
  /** `Float32Array` for f32 (the float64 reference also takes and gives `Float64Array`), `Int32Array` for i32, `Uint8Array` for blocks. */
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

/** Arrays by name, as a file holds them. */
export type NamedArrays = ReadonlyMap<string, HostArray>;
