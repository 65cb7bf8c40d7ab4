import type { Storage } from '@lowrank/core';
import type { Attributes, EngineName, EngineTensor, Operands, Quirks } from './engines/engine.ts';

/**
 * What a kernel works with: `src/kernels/<name>.ts` exports `(device) => Primitives['<name>']`. Tensors that a kernel makes
 * on its way are freed when it returns; what it gives to `output` or `replace` stays.
 */
export interface Device {
  readonly engine: EngineName;
  readonly quirks: Quirks;

  /** A storage's tensor in this shape. */
  operand(storage: Storage, shape: readonly number[]): EngineTensor;

  /** Runs one of TensorFlow.js's kernels, named as it is registered. */
  run(kernel: string, inputs: Operands, attributes?: Attributes): EngineTensor;

  reshape(x: EngineTensor, shape: readonly number[]): EngineTensor;

  /** A float32 of rank 0, which broadcasts. */
  scalar(value: number): EngineTensor;

  /** `length` times `value`. */
  filled(value: number, length: number, dtype?: 'f32' | 'i32'): EngineTensor;

  /**
   * Fresh storage of `length` elements with what `make` gives. `make` is not called where there are no elements, and not
   * before it is known that memory allows for them.
   */
  output(length: number, make: () => EngineTensor, dtype?: 'f32' | 'i32'): Storage;

  /** Puts what `make` gives in the place of what `target` holds. */
  replace(target: Storage, make: () => EngineTensor): void;
}
