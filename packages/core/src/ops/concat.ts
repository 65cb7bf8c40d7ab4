import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { resolveAxis, shapeText, sizeOf } from '../tensor/shape.ts';
import { commonBackend, type Tensor } from '../tensor/tensor.ts';
import { slice } from './slice.ts';

/** Joins tensors along an axis; their other sizes are equal. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const first = parts[0];
  if (first === undefined) throw new CoreError('CORE_ARGUMENT', 'concat: give at least one tensor');
  const at = resolveAxis(axis, first.shape.length, 'concat');
  for (const part of parts) {
    if (
      part.shape.length !== first.shape.length ||
      part.shape.some((length, i) => i !== at && length !== first.shape[i])
    ) {
      throw new CoreError(
        'CORE_SHAPE',
        `concat: ${shapeText(part.shape)} does not fit ${shapeText(first.shape)} along axis ${at}`,
      );
    }
  }
  const lengths = parts.map((part) => part.shape[at]!);
  const total = lengths.reduce((a, b) => a + b, 0);
  const storage = commonBackend('concat', parts).kernels.concat(
    parts.map((part) => part.storage),
    sizeOf(first.shape.slice(0, at)),
    lengths,
    sizeOf(first.shape.slice(at + 1)),
  );
  return result('concat', parts, storage, first.shape.with(at, total), () => ({
    gradient: (dy, _, needs) => {
      let start = 0;
      return lengths.map((length, i) => {
        const from = start;
        start += length;
        return needs[i] ? slice(dy, at, from, length) : undefined;
      });
    },
  }));
}
