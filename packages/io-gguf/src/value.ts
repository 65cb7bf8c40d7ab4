/** The value types of GGUF, by the number the file gives them. */
export const valueTypeNames: readonly GgufValueType[] = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
];

/** What each scalar type holds. 64-bit integers are always bigints, so that none is rounded. */
export interface GgufScalars {
  u8: number;
  i8: number;
  u16: number;
  i16: number;
  u32: number;
  i32: number;
  u64: bigint;
  i64: bigint;
  f32: number;
  f64: number;
  bool: boolean;
  string: string;
}

/** What an array of each type holds. */
export interface GgufArrays {
  u8: Uint8Array;
  i8: Int8Array;
  u16: Uint16Array;
  i16: Int16Array;
  u32: Uint32Array;
  i32: Int32Array;
  u64: BigUint64Array;
  i64: BigInt64Array;
  f32: Float32Array;
  f64: Float64Array;
  bool: readonly boolean[];
  string: readonly string[];
  array: readonly GgufArray[];
}

export type GgufScalarType = keyof GgufScalars;
export type GgufElementType = keyof GgufArrays;
export type GgufValueType = GgufScalarType | 'array';

export type GgufScalar = {
  [T in GgufScalarType]: { readonly type: T; readonly value: GgufScalars[T] };
}[GgufScalarType];
export type GgufArray = {
  [T in GgufElementType]: { readonly type: 'array'; readonly of: T; readonly value: GgufArrays[T] };
}[GgufElementType];

/** A metadata value with its type, so that writing what was read gives the same bytes: `{ type: 'f32', value: 16 }`. */
export type GgufValue = GgufScalar | GgufArray;

/** The constructors of the arrays that are typed arrays. */
interface NumericArrays {
  readonly u8: Uint8ArrayConstructor;
  readonly i8: Int8ArrayConstructor;
  readonly u16: Uint16ArrayConstructor;
  readonly i16: Int16ArrayConstructor;
  readonly u32: Uint32ArrayConstructor;
  readonly i32: Int32ArrayConstructor;
  readonly u64: BigUint64ArrayConstructor;
  readonly i64: BigInt64ArrayConstructor;
  readonly f32: Float32ArrayConstructor;
  readonly f64: Float64ArrayConstructor;
}

export type GgufNumericType = keyof NumericArrays;

export const numericArrays: NumericArrays = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
};

/** Arrays within arrays: deeper than this is damage, not data. */
export const deepestArray = 8;

/** Whether a type is a number's. */
export function isNumericType(type: GgufValueType): type is GgufNumericType {
  return Object.hasOwn(numericArrays, type);
}
