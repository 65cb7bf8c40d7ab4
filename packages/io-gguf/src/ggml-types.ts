import type { ArrayFormat } from '@lowrank/core';

/** One of ggml's tensor types, as the file numbers them. */
export interface GgmlType {
  readonly id: number;
  /** ggml's name in lower case, e.g. `q4_1`. */
  readonly name: string;
  /** Elements in a block. */
  readonly blockSize: number;
  readonly bytesPerBlock: number;
  /** The name as an array format, where lowrank can decode it. */
  readonly format: ArrayFormat | undefined;
}

const decodable: ReadonlySet<string> = new Set<ArrayFormat>([
  'f32',
  'i32',
  'f16',
  'bf16',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q8_0',
  'q2_k',
  'q3_k',
  'q4_k',
  'q5_k',
  'q6_k',
]);

// id, name, block size, bytes per block: ggml.h's ggml_type. Types that were removed from ggml are left out.
const rows: readonly (readonly [number, string, number, number])[] = [
  [0, 'f32', 1, 4],
  [1, 'f16', 1, 2],
  [2, 'q4_0', 32, 18],
  [3, 'q4_1', 32, 20],
  [6, 'q5_0', 32, 22],
  [7, 'q5_1', 32, 24],
  [8, 'q8_0', 32, 34],
  [9, 'q8_1', 32, 36],
  [10, 'q2_k', 256, 84],
  [11, 'q3_k', 256, 110],
  [12, 'q4_k', 256, 144],
  [13, 'q5_k', 256, 176],
  [14, 'q6_k', 256, 210],
  [15, 'q8_k', 256, 292],
  [16, 'iq2_xxs', 256, 66],
  [17, 'iq2_xs', 256, 74],
  [18, 'iq3_xxs', 256, 98],
  [19, 'iq1_s', 256, 50],
  [20, 'iq4_nl', 32, 18],
  [21, 'iq3_s', 256, 110],
  [22, 'iq2_s', 256, 82],
  [23, 'iq4_xs', 256, 136],
  [24, 'i8', 1, 1],
  [25, 'i16', 1, 2],
  [26, 'i32', 1, 4],
  [27, 'i64', 1, 8],
  [28, 'f64', 1, 8],
  [29, 'iq1_m', 256, 56],
  [30, 'bf16', 1, 2],
  [34, 'tq1_0', 256, 54],
  [35, 'tq2_0', 256, 66],
  [39, 'mxfp4', 32, 17],
];

const types: readonly GgmlType[] = rows.map(([id, name, blockSize, bytesPerBlock]) => ({
  id,
  name,
  blockSize,
  bytesPerBlock,
  format: decodable.has(name) ? (name as ArrayFormat) : undefined,
}));

const byId: ReadonlyMap<number, GgmlType> = new Map(types.map((type) => [type.id, type]));
const byFormat: ReadonlyMap<string, GgmlType> = new Map(
  types.filter((type) => type.format !== undefined).map((type) => [type.name, type]),
);

/** The type with this number, if ggml has one that lowrank knows the size of. */
export function ggmlType(id: number): GgmlType | undefined {
  return byId.get(id);
}

/** The type that stores this array format; none for nf4 and fp4, which GGUF does not have. */
export function ggmlTypeOf(format: ArrayFormat): GgmlType | undefined {
  return byFormat.get(format);
}
