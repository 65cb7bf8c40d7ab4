import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { blockFormats, isInlineBlockFormat } from './block-formats.ts';
import { isFourBitFormat } from './four-bit-codes.ts';
import { decodeFourBit } from './four-bit-decode.ts';
import { readFourBitHeader } from './four-bit-payload.ts';
import { checkHostArray, rowLayout } from './layout.ts';

/**
 * An array's values as float32, row-major. The result is always fresh memory, or `out` where one is given.
 * Float64 data is rounded. Throws `CORE_FORMAT`/`CORE_SHAPE` for data that does not match its shape, `CORE_UNSUPPORTED` for
 * i32.
 */
export function decodeArray(array: HostArray, out?: Float32Array): Float32Array {
  return decodeRows(array, 0, checkHostArray(array).rows, out);
}

/**
 * Rows `start` to `start + count - 1` of an array seen as a matrix (its last axis is the row): `count * columns` values, in fresh
 * memory, or at the start of `out`. Throws as {@link decodeArray}, and `CORE_ARGUMENT` for rows that are not there.
 */
export function decodeRows(array: HostArray, start: number, count: number, out?: Float32Array): Float32Array {
  const { rows, columns } = checkHostArray(array);
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(count) || start < 0 || count < 0 || start + count > rows) {
    throw new CoreError('CORE_ARGUMENT', `Rows ${start} to ${start + count} were asked of an array that has ${rows}.`, {
      value: { start, count },
    });
  }
  const length = count * columns;
  if (out !== undefined && out.length < length) {
    throw new CoreError('CORE_ARGUMENT', `Decoding gives ${length} values but \`out\` holds ${out.length}.`, {
      value: out.length,
    });
  }
  const values = out ?? new Float32Array(length);
  const { format, shape, data } = array;
  if (data instanceof Float32Array || data instanceof Float64Array) {
    values.set(data.subarray(start * columns, start * columns + length));
  } else if (isInlineBlockFormat(format)) {
    const { blockSize, decode } = blockFormats[format];
    decode(data as Uint8Array, start * rowLayout(format, shape).rowBytes, values, 0, length / blockSize);
  } else if (isFourBitFormat(format)) {
    const bytes = data as Uint8Array;
    decodeFourBit(format, bytes, readFourBitHeader(bytes, rows * columns), start * columns, length, values);
  } else {
    throw new CoreError('CORE_UNSUPPORTED', `Format ${format} holds no real numbers to decode.`, { value: format });
  }
  return values;
}
