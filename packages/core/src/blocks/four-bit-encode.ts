import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { dynamicMap, dynamicMapZero } from './dynamic-map.ts';
import { fourBitCodes, isFourBitFormat, type FourBitCodes, type FourBitFormat } from './four-bit-codes.ts';
import {
  fourBitBlockSizes,
  fourBitHeaderBytes,
  layOut,
  nestedBlockSize,
  writeFourBitHeader,
  type FourBitBlockSize,
} from './four-bit-payload.ts';
import { matrixOf } from './layout.ts';

const { fround } = Math;

export interface FourBitOptions {
  /** Default 'nf4'. */
  readonly format?: FourBitFormat | undefined;
  /** Elements that share a scale: 32, 64, 128 or 256. Default 64. */
  readonly blockSize?: FourBitBlockSize | undefined;
  /** Scales in 8 bits, 256 of them with one f32 of their own: 4.127 bits a weight instead of 4.5 for blocks of 64. Default true. */
  readonly doubleQuantization?: boolean | undefined;
}

/**
 * Quantizes values to NF4 or FP4 (Dettmers et al. 2023, arXiv 2305.14314). Codes are those of bitsandbytes: of
 * v = f32(x * f32(1 / absmax)) the nearest of the 16 values, the lower one where two are as near. A block of zeros decodes to zeros.
 * @param shape any; blocks run along the flattened values.
 * @throws CoreError CORE_NOT_FINITE at NaN or infinity, CORE_SHAPE when shape and values do not fit, CORE_ARGUMENT.
 */
export function quantize4bit(
  values: Float32Array,
  shape: readonly number[],
  options: FourBitOptions = {},
): HostArray & { readonly format: FourBitFormat; readonly data: Uint8Array<ArrayBuffer> } {
  const { format = 'nf4', blockSize = 64, doubleQuantization = true } = options;
  if (!isFourBitFormat(format) || !fourBitBlockSizes.includes(blockSize)) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `quantize4bit knows nf4 and fp4 in blocks of ${fourBitBlockSizes.join(', ')}; ${format as string} in blocks of ${blockSize as number} was asked for.`,
      { value: options },
    );
  }
  const { rows, columns } = matrixOf(shape);
  const length = rows * columns;
  if (values.length !== length) {
    throw new CoreError('CORE_SHAPE', `Shape [${shape.join(', ')}] needs ${length} values, not ${values.length}.`, {
      value: values.length,
    });
  }
  const payload = layOut(length, blockSize, doubleQuantization);
  const scales = absmaxOf(values, blockSize, format);
  const data = new Uint8Array(payload.byteLength);
  writeCodes(values, scales, blockSize, fourBitCodes[format], data.subarray(fourBitHeaderBytes));
  const scaleBytes = data.subarray(payload.scalesAt);
  const offset = doubleQuantization ? meanOf(scales) : 0;
  if (doubleQuantization) quantizeScales(scales, offset, scaleBytes, payload.nestedAt - payload.scalesAt);
  else storeFloats(scales, scaleBytes);
  writeFourBitHeader(data, { ...payload, offset });
  return { format, shape: [...shape], data };
}

/** The largest magnitude of each block. */
function absmaxOf(values: Float32Array, blockSize: number, format: FourBitFormat): Float32Array {
  const scales = new Float32Array(Math.ceil(values.length / blockSize));
  for (let block = 0; block < scales.length; block++) {
    const [start, end] = [block * blockSize, Math.min(values.length, (block + 1) * blockSize)];
    let largest = 0;
    for (let i = start; i < end; i++) {
      const magnitude = Math.abs(values[i]!);
      // NaN is not less than anything either.
      if (!(magnitude <= largest)) largest = magnitude < Infinity ? magnitude : refuse(values[i]!, i, format);
    }
    scales[block] = largest;
  }
  return scales;
}

function refuse(value: number, index: number, format: FourBitFormat): never {
  throw new CoreError(
    'CORE_NOT_FINITE',
    `Element ${index} is ${value}, which ${format} cannot hold. Look for what made it so, or keep this array as f32.`,
    { value },
  );
}

/** Bins that [-1, 1] is cut into: fine enough that no bin has two midpoints in it (fp4's nearest are 0.0026 apart). */
const bins = 1024;

/**
 * Ranks (see `FourBitCodes.midpoints`) by table: one comparison, instead of fifteen, finds how many midpoints are below a value.
 * A value's bin grows with it, so midpoints of lower bins are below it, and those of higher ones are not.
 */
function binTable({ midpoints }: FourBitCodes): { below: Uint8Array; next: Float32Array } {
  const binOf = (value: number): number => ((value + 1) * (bins / 2)) | 0;
  const below = Uint8Array.from({ length: bins + 1 }, (_, bin) => midpoints.filter((mid) => binOf(mid) < bin).length);
  return { below, next: Float32Array.from(below, (rank) => midpoints[rank] ?? Infinity) };
}

function writeCodes(
  values: Float32Array,
  scales: Float32Array,
  blockSize: number,
  codes: FourBitCodes,
  out: Uint8Array,
): void {
  const { below, next } = binTable(codes);
  const { ascending, zero } = codes;
  for (let block = 0; block < scales.length; block++) {
    const [start, end] = [block * blockSize, Math.min(values.length, (block + 1) * blockSize)];
    const inverse = fround(1 / scales[block]!);
    for (let i = start; i < end; i++) {
      const scaled = fround(values[i]! * inverse);
      // Only where the inverse is infinite can this be out of range or NaN: a block of zeros, or of subnormals.
      const bin = scaled >= -1 && scaled <= 1 ? ((scaled + 1) * (bins / 2)) | 0 : scaled > 1 ? bins : 0;
      const rank = below[bin]! + (scaled > next[bin]! ? 1 : 0);
      const code = scaled === scaled ? ascending[rank]! : zero;
      out[i >> 1] = (i & 1) === 0 ? (code << 4) | zero : (out[i >> 1]! & 0xf0) | code;
    }
  }
}

/** In float64, rounded once. */
function meanOf(scales: Float32Array): number {
  let sum = 0;
  for (const scale of scales) sum += scale;
  return scales.length === 0 ? 0 : fround(sum / scales.length);
}

/** Each scale less the offset as the nearest entry of the dynamic map, times the largest of its 256. */
function quantizeScales(scales: Float32Array, offset: number, out: Uint8Array, nestedAt: number): void {
  const map = dynamicMap();
  const centred = scales.map((scale) => scale - offset);
  const nested = absmaxOf(centred, nestedBlockSize, 'nf4');
  const midpoints = Float32Array.from({ length: 255 }, (_, i) => (map[i]! + map[i + 1]!) / 2);
  for (let i = 0; i < centred.length; i++) {
    const inverse = fround(1 / nested[Math.floor(i / nestedBlockSize)]!);
    const scaled = fround(centred[i]! * inverse);
    out[i] = scaled === scaled ? countBelow(midpoints, scaled) : dynamicMapZero;
  }
  storeFloats(nested, out.subarray(nestedAt));
}

/** How many of some ascending numbers are strictly below a value. */
function countBelow(ascending: Float32Array, value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function storeFloats(values: Float32Array, out: Uint8Array): void {
  const view = new DataView(out.buffer, out.byteOffset, 4 * values.length);
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
}
