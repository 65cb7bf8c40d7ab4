import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { blockFormats } from './block-formats.ts';
import { rowLayout } from './layout.ts';

/** The formats that lowrank writes. */
export type EncodableFormat = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1';

/**
 * Stores values in a format: f32 copies, f16 and bf16 round to nearest even, q8_0, q4_0 and q4_1 follow ggml's reference
 * quantizers bit for bit.
 *
 * Nothing is lost silently: `CORE_NOT_FINITE` where a finite value would become infinite in the format, and where a quantized
 * format, which has no way to write them, is given NaN or infinity. `CORE_SHAPE` where rows are not whole blocks or the
 * values are not as many as the shape says; `CORE_UNSUPPORTED` for formats that are only read.
 */
export function encodeArray(
  values: Float32Array | Float64Array,
  shape: readonly number[],
  format: EncodableFormat,
): HostArray {
  const { rows, columns, rowBytes } = rowLayout(format, shape);
  if (values.length !== rows * columns) {
    throw new CoreError(
      'CORE_SHAPE',
      `Shape [${shape.join(', ')}] needs ${rows * columns} values but there are ${values.length}.`,
      {
        value: values.length,
      },
    );
  }
  checkRange(values, format);
  const rounded = values instanceof Float32Array ? values : Float32Array.from(values);
  if (format === 'f32') return { format, shape: [...shape], data: rounded === values ? rounded.slice() : rounded };
  const { encode, blockSize } = blockFormats[format];
  if (encode === undefined) {
    throw new CoreError(
      'CORE_UNSUPPORTED',
      `Format ${format} is read but not written. Use f32, f16, bf16, q8_0, q4_0 or q4_1.`,
      { value: format },
    );
  }
  const data = new Uint8Array(rows * rowBytes);
  encode(rounded, 0, data, 0, values.length / blockSize);
  return { format, shape: [...shape], data };
}

/** The first magnitude that rounds to infinity: half a unit in the last place above the largest finite value. */
const overflow: Partial<Record<EncodableFormat, number>> = {
  f32: 2 ** 128 - 2 ** 103,
  f16: 65520,
  bf16: 2 ** 128 - 2 ** 119,
};

function checkRange(values: Float32Array | Float64Array, format: EncodableFormat): void {
  const limit = overflow[format];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (
      limit === undefined
        ? !(Math.abs(value) < 2 ** 128 - 2 ** 103)
        : Math.abs(value) >= limit && Math.abs(value) !== Infinity
    ) {
      throw new CoreError(
        'CORE_NOT_FINITE',
        `Element ${i} is ${value}, which ${format} cannot hold. Look for what made it so large, or keep this array as f32.`,
        {
          value,
        },
      );
    }
  }
}
