import { BackendError, byteLengthOf, type BlockFormat } from '@lowrank/core';

/** Throws where a format is not among those offered, or the bytes are not as many as the shape takes. */
export function checkBlocks(
  bytes: Uint8Array,
  format: BlockFormat,
  shape: readonly [number, number],
  offered: readonly BlockFormat[],
): void {
  if (!offered.includes(format)) {
    const known = offered.length === 0 ? 'none is' : `those are ${offered.join(', ')}`;
    throw new BackendError('BACKEND_ARGUMENT', `block format ${format} is not offered: ${known}`, { value: format });
  }
  const expected = byteLengthOf(format, shape, bytes);
  if (bytes.length !== expected) {
    throw new BackendError(
      'BACKEND_ARGUMENT',
      `a ${format} matrix [${shape.join(', ')}] takes ${expected} bytes, not ${bytes.length}`,
      { value: bytes.length },
    );
  }
}
