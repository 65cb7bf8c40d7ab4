/** GGUF files put together by hand, so that tests can say exactly which bytes are wrong. */

export const u8 = (value: number): number[] => [value];
export const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
export const u64 = (value: bigint | number): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];
export const f32 = (value: number): number[] => [...new Uint8Array(Float32Array.of(value).buffer)];
export const text = (value: string): number[] => {
  const bytes = new TextEncoder().encode(value);
  return [...u64(bytes.length), ...bytes];
};

export interface RawTensor {
  readonly name: string;
  /** ggml's order: innermost first. */
  readonly ne: readonly (number | bigint)[];
  readonly type: number;
  readonly offset: number | bigint;
}

export interface RawGguf {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly pairCount?: number | bigint;
  /** Key, then the bytes from the value's type on. */
  readonly pairs?: readonly (readonly [string, readonly number[]])[];
  readonly tensors?: readonly RawTensor[];
  readonly alignment?: number;
  readonly data?: readonly number[];
}

export function rawGguf(raw: RawGguf = {}): Uint8Array {
  const { magic = 'GGUF', version = 3, pairs = [], tensors = [], alignment = 32, data = [] } = raw;
  const header = [
    ...new TextEncoder().encode(magic),
    ...u32(version),
    ...u64(raw.tensorCount ?? tensors.length),
    ...u64(raw.pairCount ?? pairs.length),
    ...pairs.flatMap(([key, value]) => [...text(key), ...value]),
    ...tensors.flatMap(({ name, ne, type, offset }) => [
      ...text(name),
      ...u32(ne.length),
      ...ne.flatMap(u64),
      ...u32(type),
      ...u64(offset),
    ]),
  ];
  while (data.length > 0 && header.length % alignment !== 0) header.push(0);
  return Uint8Array.from([...header, ...data]);
}

/** The numbers that GGUF gives the value types. */
export const kind = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
