import { CoreError } from '../errors/core-error.ts';

const f32Scratch = new Float32Array(1);
const u32Scratch = new Uint32Array(f32Scratch.buffer);

function f16BitsToF32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // Subnormal: fraction * 2^-24. Shift the leading one up to the implicit place.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

let table: Uint32Array | undefined;

/** The float32 bits of each of the 65,536 float16 values: 256 KiB, built on first use. */
export function f16Bits(): Uint32Array {
  if (table === undefined) {
    table = new Uint32Array(65536);
    for (let half = 0; half < 65536; half++) table[half] = f16BitsToF32Bits(half);
  }
  return table;
}

let values: Float32Array | undefined;

/** The value of each of the 65,536 float16 bit patterns. */
export function f16Values(): Float32Array {
  values ??= new Float32Array(f16Bits().buffer);
  return values;
}

/** The float16 bits nearest to the float32 with these bits, ties to even; every NaN becomes the quiet one. */
export function f32BitsToF16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520, half-way between the largest float16 and the next power of two, goes to the even one: infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rebiased = magnitude - 0x38000000;
    return sign | roundShift(rebiased, 13);
  }
  if (magnitude < 0x33000000) return sign;
  // Subnormal: count units of 2^-24.
  return sign | roundShift((magnitude & 0x7fffff) | 0x800000, 126 - (magnitude >>> 23));
}

/** `value >> shift`, rounded to nearest, ties to even. A carry into the exponent is what rounding up means there. */
function roundShift(value: number, shift: number): number {
  const quotient = value >>> shift;
  const remainder = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return remainder > half || (remainder === half && (quotient & 1) === 1) ? quotient + 1 : quotient;
}

/** The bfloat16 bits nearest to the float32 with these bits, ties to even; NaNs are made quiet. */
export function f32BitsToBf16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The float16 bits of a number that is already a float32. */
function toF16(value: number): number {
  f32Scratch[0] = value;
  return f32BitsToF16Bits(u32Scratch[0] as number);
}

/** Stores a block's scale or minimum as float16; throws `CORE_NOT_FINITE` where it overflows. */
export function storeF16(value: number, bytes: Uint8Array, byteOffset: number, format: string): void {
  const bits = toF16(value);
  if ((bits & 0x7c00) === 0x7c00) {
    throw new CoreError(
      'CORE_NOT_FINITE',
      `A block does not fit ${format}: its scale or minimum ${value} is beyond float16's largest, 65504. Keep this array as f32 or bf16.`,
      { value },
    );
  }
  bytes[byteOffset] = bits & 0xff;
  bytes[byteOffset + 1] = bits >>> 8;
}

/** Two little-endian bytes as an unsigned integer. */
export function u16(bytes: Uint8Array, byteOffset: number): number {
  return (bytes[byteOffset] as number) | ((bytes[byteOffset + 1] as number) << 8);
}
