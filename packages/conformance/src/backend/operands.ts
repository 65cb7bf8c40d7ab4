/** Inputs of cases on a backend, and what the interface says about whose memory is whose. */
import type { Backend, Storage, TypedArray } from '@lowrank/core';
import { decodeArray } from '@lowrank/core';
import { demand } from '../conformance-error.ts';
import type { Input } from './case.ts';

export function upload(backend: Backend, input: Input): Storage {
  if ('format' in input) {
    demand(
      backend.uploadBlocks !== undefined,
      `supports.blockFormats names ${input.format}, but there is no uploadBlocks`,
    );
    return backend.uploadBlocks(input.data, input.format, input.shape);
  }
  return backend.upload(input.data, input.data instanceof Int32Array ? 'i32' : 'f32');
}

/** The numbers of an input, blocks decoded. */
export function numbersOf(input: Input): Float64Array {
  if (!('format' in input)) return new Float64Array(input.data);
  return new Float64Array(decodeArray(input));
}

/** The same input with subnormal numbers set to zero. */
export function flushed(input: Input): Input {
  if (!(input.data instanceof Float32Array)) return input;
  return { name: input.name, data: input.data.map((x) => (Math.abs(x) < 2 ** -126 ? x * 0 : x)) };
}

/**
 * Fills memory of the results' sizes with rubbish and frees it again: a backend that hands it out anew must not count
 * on zeros.
 */
export function soil(backend: Backend, lengths: readonly number[]): void {
  const rubbish = lengths.map((length) => backend.upload(new Float32Array(length).fill(-9.75e9), 'f32'));
  for (const storage of rubbish) backend.free(storage);
}

/** Whether two arrays hold the same bits, NaN equal to any NaN. */
export function sameBits(a: TypedArray, b: TypedArray): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!Object.is(a[i], b[i])) return false;
  }
  return true;
}

/** What an array holds after a round trip through a backend's float32. */
export function float64(data: TypedArray): Float64Array {
  return data instanceof Float64Array ? data : new Float64Array(data);
}
