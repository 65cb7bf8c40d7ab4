import { CoreError } from '../errors/core-error.ts';
import type { ArrayFormat, HostArray } from '../host/arrays.ts';
import { blockFormats, isInlineBlockFormat } from './block-formats.ts';
import { isFourBitFormat } from './four-bit-codes.ts';
import { readFourBitHeader } from './four-bit-payload.ts';

/** A shape seen as a matrix: the last axis is the row, all others are counted together. A scalar is one row of one. */
export interface MatrixLayout {
  readonly rows: number;
  readonly columns: number;
}

export interface RowLayout extends MatrixLayout {
  /** Bytes of one row as stored. */
  readonly rowBytes: number;
}

/** Throws `CORE_SHAPE` for sizes that are no counts. */
export function matrixOf(shape: readonly number[]): MatrixLayout {
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(size) || size < 0 || !Number.isSafeInteger(elements * 8)) {
      throw new CoreError('CORE_SHAPE', `Shape [${shape.join(', ')}] is not a list of sizes that fit in memory.`, {
        value: shape,
      });
    }
  }
  const columns = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return { rows, columns };
}

/**
 * How an array of this format and shape is stored, row by row.
 * Throws `CORE_SHAPE` for sizes that are no counts and for rows that are not whole blocks, `CORE_UNSUPPORTED` for formats
 * that are not stored row by row (nf4, fp4).
 */
export function rowLayout(format: ArrayFormat, shape: readonly number[]): RowLayout {
  const { rows, columns } = matrixOf(shape);
  if (format === 'f32' || format === 'i32') return { rows, columns, rowBytes: columns * 4 };
  if (!isInlineBlockFormat(format)) {
    throw new CoreError('CORE_UNSUPPORTED', `Format ${format} is not stored as self-contained blocks in rows.`, {
      value: format,
    });
  }
  const { blockSize, bytesPerBlock } = blockFormats[format];
  if (columns % blockSize !== 0) {
    throw new CoreError(
      'CORE_SHAPE',
      `A row of ${columns} elements is not a whole number of ${format} blocks of ${blockSize}. Store this array as f16 or f32.`,
      { value: shape },
    );
  }
  return { rows, columns, rowBytes: (columns / blockSize) * bytesPerBlock };
}

/**
 * Bytes that an array of this format and shape takes. nf4 and fp4 say in a header how they are stored: give the array's bytes, or
 * their beginning, along. Throws as {@link rowLayout}, and `CORE_FORMAT` for a header that is none.
 */
export function byteLengthOf(format: ArrayFormat, shape: readonly number[], header?: Uint8Array): number {
  if (isFourBitFormat(format) && header !== undefined) {
    const { rows, columns } = matrixOf(shape);
    return readFourBitHeader(header, rows * columns).byteLength;
  }
  const { rows, rowBytes } = rowLayout(format, shape);
  return rows * rowBytes;
}

/** Checks that an array's data is of the kind and length that its format and shape ask for; gives its sizes. */
export function checkHostArray(array: HostArray): MatrixLayout {
  const { format, shape, data } = array;
  const matrix = matrixOf(shape);
  const kindMatches =
    format === 'f32'
      ? data instanceof Float32Array || data instanceof Float64Array
      : format === 'i32'
        ? data instanceof Int32Array
        : data instanceof Uint8Array;
  if (!kindMatches) {
    throw new CoreError(
      'CORE_FORMAT',
      `An array of format ${format} came with ${data?.constructor?.name ?? typeof data} data.`,
      { value: data },
    );
  }
  const wanted = data instanceof Uint8Array ? byteLengthOf(format, shape, data) : matrix.rows * matrix.columns;
  if (data.length !== wanted) {
    const unit = data instanceof Uint8Array ? 'bytes' : 'elements';
    throw new CoreError(
      'CORE_SHAPE',
      `A ${format} array of shape [${shape.join(', ')}] needs ${wanted} ${unit} but has ${data.length}.`,
      {
        value: data.length,
      },
    );
  }
  return matrix;
}
