/** One row of a case table: a call of one kernel, and how far its results may be from the reference's. */
import type { BlockFormat, FusedKernels, Primitives, Storage } from '@lowrank/core';
import type { ProductOperands } from './product-operands.ts';

export type KernelName = keyof Primitives | keyof FusedKernels;

/** Every kernel, as a case's body sees them: a case runs only where its kernel is offered. */
export type Kernels = Primitives & FusedKernels;

export type Input =
  | { readonly name: string; readonly data: Float32Array | Int32Array }
  | {
      readonly name: string;
      readonly data: Uint8Array;
      readonly format: BlockFormat;
      readonly shape: readonly [number, number];
    };

/** The largest error allowed, element by element of one result. Infinity: the interface leaves the element open. */
export type Tolerance = Float64Array;

export interface Case {
  readonly kernel: KernelName;
  /** Unique among the kernel's cases. */
  readonly name: string;
  readonly inputs: readonly Input[];
  /** Names of what `run` returns. */
  readonly outputs: readonly string[];
  /** Calls the kernel on `operands`, the uploaded inputs. */
  readonly run: (kernels: Kernels, operands: readonly Storage[]) => readonly Storage[];
  /** Inputs the kernel changes in place: judged like outputs, after those. The others must not change. */
  readonly mutates?: readonly number[];
  /** Runs only where the manifest says that NaN and infinities are carried. */
  readonly nonFinite?: true;
  /** Has subnormal inputs: a backend may take them for zero. */
  readonly subnormal?: true;
  /**
   * What is allowed for arithmetic of unit roundoff `unit` (see `bounds.ts`): one tolerance for each result.
   * `expected` are the reference's results, outputs first; `operands` what the manifest says that products round theirs to.
   */
  readonly bound: (unit: number, expected: readonly Float64Array[], operands?: ProductOperands) => readonly Tolerance[];
}

/** A gradient judged against central differences of the reference's forward kernel. */
export interface GradientCase {
  /** The backward kernel. */
  readonly kernel: KernelName;
  readonly name: string;
  /** Operands of the forward kernel. */
  readonly inputs: readonly Input[];
  /** Inputs that `backward` gives gradients toward, in its order. */
  readonly toward: readonly number[];
  readonly forward: (kernels: Kernels, inputs: readonly Storage[]) => readonly Storage[];
  /** Which of the forward's results the loss is a weighted sum of. */
  readonly loss: number;
  /** `results`: what `forward` gave; `weights`: the gradient toward `results[loss]`. */
  readonly backward: (
    kernels: Kernels,
    inputs: readonly Storage[],
    results: readonly Storage[],
    weights: Storage,
  ) => readonly Storage[];
  /** Rounding of the backward kernel itself, as in `Case`; `results` and `weights` are its operands. */
  readonly bound: (
    unit: number,
    expected: readonly Float64Array[],
    results: readonly Float64Array[],
    weights: Float64Array,
  ) => readonly Tolerance[];
}

/** Rows of a table by their kernel, in order. */
export function byKernel<Row extends { readonly kernel: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.kernel);
    if (group === undefined) groups.set(row.kernel, [row]);
    else group.push(row);
  }
  return groups;
}
