import type { Storage } from '@lowrank/core';
import type { ProductOperands } from './engines/engine.ts';

/** What a kernel's TypeScript side works with: `src/kernels/<name>.ts` exports `(device) => Primitives['<name>']`. */
export interface Device {
  /** Threads of the engine: how many pieces scratch for each thread needs. */
  readonly threads: number;
  /** What the engine's products round their operands to. */
  readonly productOperands: ProductOperands;

  /** Fresh storage of `length` elements, uninitialised. If the kernel throws before it returns, it is freed. */
  output(length: number, dtype?: 'f32' | 'i32'): Storage;

  /** Address of a storage's first byte, 64-byte aligned. Throws where it was freed or is another backend's. */
  address(storage: Storage): number;

  /**
   * Address of `bytes` of uninitialised memory for the commands that this kernel enqueues; it is given back when the kernel returns,
   * which is safe because work runs in order.
   */
  scratch(bytes: number): number;

  /** Enqueues a command: its arguments as `kernels/opcodes.h` lists them, the list (shapes, segments) inline behind them. */
  run(opcode: number, args: readonly number[], list?: ArrayLike<number>): void;
}
