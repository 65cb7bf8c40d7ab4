import type { ArrayFormat } from '@lowrank/core';

/** What a file says of one of its tensors. */
export interface GgufTensorInfo {
  readonly name: string;
  /** ggml's name of the type in lower case (`q4_1`), or `type 99` where it is unknown. */
  readonly type: string;
  /** ggml's number of the type. */
  readonly typeId: number;
  /** The type as an array format, where lowrank can read it. */
  readonly format: ArrayFormat | undefined;
  /** Row-major, outermost axis first: ggml's `ne`, reversed. */
  readonly shape: readonly number[];
  /** Where its data start, from the start of the file. */
  readonly offset: number;
  /** Bytes of its data; undefined where the type is unknown. */
  readonly byteLength: number | undefined;
}
