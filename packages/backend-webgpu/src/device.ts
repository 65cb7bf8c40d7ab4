/**
 * What a kernel's TypeScript side works with: `src/kernels/<name>.ts` exports `(device) => Primitives['<name>']` (or of
 * `FusedKernels`), written with nothing but this page and `device/program.ts`.
 *
 * ```ts
 * const program: Program = {
 *   name: 'silu',
 *   operands: { x: 'read f32', y: 'write f32' },
 *   parameters: { length: 'u32' },
 *   workgroup: 64,
 *   body: `
 *     let i = group * 64 + local;
 *     if (i >= p.length) { return; }
 *     let v = load_x(i);
 *     store_y(i, v / (1 + exp(-v)));`,
 * };
 *
 * export const silu = (device: Device): FusedKernels['silu'] => (x, length) => {
 *   const y = device.output(length);
 *   device.run(program, { operands: { x, y }, parameters: { length }, workgroups: Math.ceil(length / 64) });
 *   return y;
 * };
 * ```
 *
 * **Order.** Dispatches run in the order of `run`, and each sees all that the ones before it wrote: no barriers to
 * place. Many go into one submit; none of it is awaited.
 * **Grids** are one-dimensional, of any length: `group` counts workgroups, beyond 65,535 too. Zero workgroups: nothing runs.
 * **Aliases.** A storage may be given for several operands, also where one of them is written: what is read is then a copy
 * from before.
 * **Zero sizes.** Empty storage may be bound; it reads as something undefined.
 */
import type { Storage } from '@lowrank/core';
import type { Program } from './device/program.ts';
import type { PanelType } from './wgsl/panels.ts';

export interface Device {
  /** Fresh storage of `length` elements, uninitialised. If the kernel throws before it returns, it is freed. */
  output(length: number, dtype?: 'f32' | 'i32'): Storage;

  /**
   * Fresh storage, all of whose words are `word`. They are written when a program is first run on it, which for many
   * scalars is never: a kernel may ask `wordOf` and pass the number as a parameter.
   */
  filled(word: number, length: number, dtype: 'f32' | 'i32'): Storage;

  /** The word of storage that is `filled` and not written yet. */
  wordOf(storage: Storage): number | undefined;

  /**
   * `words` 32-bit words of uninitialised memory for the dispatches of this kernel call, to bind as any element type. It is
   * given back when the kernel returns, which is safe because work runs in order.
   */
  scratch(words: number): Storage;

  /**
   * A list from the host (segments, offsets), to bind as i32 or u32. The same array object is uploaded once: its contents must
   * never change.
   */
  list(values: Int32Array | Uint32Array): Storage;

  /** Enqueues one dispatch. */
  run(program: Program, call: Call): void;

  /** What programs may use. */
  readonly limits: DeviceLimits;

  /** What products keep their operands in while they multiply them: f32, unless the user asked for f16. */
  readonly panels: PanelType;
}

export interface Call {
  /** One storage for each of the program's operands. */
  readonly operands: Readonly<Record<string, Storage>>;
  /** One number for each of the program's parameters. f32 is rounded; NaN and infinities arrive as they are. */
  readonly parameters: Readonly<Record<string, number>>;
  /** The program's constants, baked into the pipeline: few different values, or many pipelines are compiled. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
  readonly workgroups: number;
}

export interface DeviceLimits {
  /** Invocations of a workgroup: at least 256. */
  readonly invocations: number;
  /** Bytes of `var<workgroup>`: at least 16,384. */
  readonly workgroupBytes: number;
  /** Storage operands of a program, counting each window of those larger than one binding: at least 8. */
  readonly bindings: number;
  /** Bytes of a window: what one binding holds. */
  readonly bindingBytes: number;
}
