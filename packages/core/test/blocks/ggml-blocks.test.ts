import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { blockFormats, decodeArray, encodeArray } from '../../src/blocks/index.ts';
import type { EncodableFormat, InlineBlockFormat } from '../../src/blocks/index.ts';

// Made by tools/fixtures/ggml_blocks.py with the reference implementation in the PyPI package `gguf`.
interface Case {
  readonly blocks: string;
  readonly decoded: string;
  readonly values?: string;
  readonly encoded?: string;
}

const cases = JSON.parse(readFileSync(new URL('../fixtures/ggml-blocks.json', import.meta.url), 'utf8')) as Record<
  InlineBlockFormat,
  Case
>;

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'));
const floatsOf = (base64: string): Float32Array => new Float32Array(bytesOf(base64).buffer);

/** Bits, with every NaN made alike: payloads are nobody's promise. */
const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length).map((bits) =>
    (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits,
  );

describe.each(Object.entries(cases) as [InlineBlockFormat, Case][])('%s', (format, fixture) => {
  test('decodes to the bits of the reference', () => {
    const expected = floatsOf(fixture.decoded);
    const decoded = decodeArray({ format, shape: [expected.length], data: bytesOf(fixture.blocks) });
    expect(bitsOf(decoded)).toEqual(bitsOf(expected));
  });

  const { values, encoded } = fixture;
  if (values !== undefined && encoded !== undefined) {
    test('encodes to the bytes of the reference', () => {
      const input = floatsOf(values);
      expect(encodeArray(input, [input.length], format as EncodableFormat).data).toEqual(bytesOf(encoded));
    });
  }
});

test('every format of the table has a fixture', () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(blockFormats).sort());
});
