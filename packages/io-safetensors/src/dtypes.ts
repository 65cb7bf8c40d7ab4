import type { ArrayFormat } from '@lowrank/core';

/** An element type's name. */
export type SafetensorsDtype =
  | 'F64'
  | 'I64'
  | 'U64'
  | 'F32'
  | 'I32'
  | 'U32'
  | 'F16'
  | 'BF16'
  | 'I16'
  | 'U16'
  | 'F8_E5M2'
  | 'F8_E4M3'
  | 'I8'
  | 'U8'
  | 'BOOL';

/** Name, bytes of an element, and the array format that holds it, where there is one. */
const rows: readonly (readonly [SafetensorsDtype, number, ArrayFormat | undefined])[] = [
  ['F64', 8, 'f32'],
  ['I64', 8, undefined],
  ['U64', 8, undefined],
  ['F32', 4, 'f32'],
  ['I32', 4, 'i32'],
  ['U32', 4, undefined],
  ['F16', 2, 'f16'],
  ['BF16', 2, 'bf16'],
  ['I16', 2, undefined],
  ['U16', 2, undefined],
  ['F8_E5M2', 1, undefined],
  ['F8_E4M3', 1, undefined],
  ['I8', 1, undefined],
  ['U8', 1, undefined],
  ['BOOL', 1, undefined],
];

export interface Dtype {
  readonly name: SafetensorsDtype;
  /** Bytes of an element. */
  readonly size: number;
  /** As an array in host memory; F64 keeps its values there in a `Float64Array`. */
  readonly format: ArrayFormat | undefined;
}

const byName: ReadonlyMap<string, Dtype> = new Map(rows.map(([name, size, format]) => [name, { name, size, format }]));

/** The element type of this name, if the format has it. */
export function dtypeNamed(name: unknown): Dtype | undefined {
  return typeof name === 'string' ? byName.get(name) : undefined;
}

/** The element type that stores an array of this format; none for block-quantized ones. */
export function dtypeOf(format: ArrayFormat): Dtype | undefined {
  return [...byName.values()].find((dtype) => dtype.format === format && dtype.name !== 'F64');
}
