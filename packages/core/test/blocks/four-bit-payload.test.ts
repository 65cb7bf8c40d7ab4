import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeArray, fourBitBlockSizes, readFourBitHeader } from '../../src/blocks/index.ts';
import { CoreError } from '../../src/errors/core-error.ts';

/** A header that is often right, and bytes after it. */
const payload = fc
  .record({
    blockSize: fc.oneof(fc.constantFrom(...fourBitBlockSizes), fc.nat()),
    double: fc.oneof(fc.constantFrom(0, 1), fc.nat()),
    offset: fc.oneof(fc.constant(0), fc.float()),
    last: fc.oneof(fc.constant(0), fc.nat()),
    rest: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ blockSize, double, offset, last, rest }) => {
    const bytes = new Uint8Array(16 + rest.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, blockSize, true);
    view.setUint32(4, double, true);
    view.setFloat32(8, offset, true);
    view.setUint32(12, last, true);
    bytes.set(rest, 16);
    return bytes;
  });

/** What a call gives or the code of its error; what is no error of core's is thrown on. */
function outcome<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return error.code;
  }
}

test('any bytes decode, or are refused with a code', () => {
  const outcomes = new Map<unknown, number>();
  const shape = fc.tuple(fc.nat(20), fc.nat(20));
  fc.assert(
    fc.property(payload, shape, fc.constantFrom('nf4', 'fp4'), fc.boolean(), (data, size, format, cut) => {
      const elements = size[0] * size[1];
      // Half of the time as many bytes as the header says, where it says any.
      const header = outcome(() => readFourBitHeader(data, elements));
      const bytes = new Uint8Array(cut && typeof header !== 'string' ? header.byteLength : data.length);
      bytes.set(data.subarray(0, bytes.length));
      const found = outcome(() => decodeArray({ format, shape: size, data: bytes }).length);
      expect([elements, 'CORE_FORMAT', 'CORE_SHAPE']).toContain(found);
      const kind = typeof found === 'string' ? found : 'decoded';
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    }),
    { numRuns: 2000 },
  );
  for (const kind of ['decoded', 'CORE_FORMAT', 'CORE_SHAPE']) expect(outcomes.get(kind)).toBeGreaterThan(20);
});
