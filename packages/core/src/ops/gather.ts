import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { shapeText } from '../tensor/shape.ts';
import { commonBackend, fromStorage, type Tensor } from '../tensor/tensor.ts';

/** Rows of a table [rows, columns] at `indices` [...]: [..., columns]. */
export function gather(table: Tensor, indices: Tensor): Tensor {
  if (table.shape.length !== 2 || indices.dtype !== 'i32') {
    throw new CoreError(
      'CORE_SHAPE',
      `gather: needs a table [rows, columns] and i32 indices, got ${shapeText(table.shape)} and ${indices.dtype}`,
    );
  }
  const backend = commonBackend('gather', [table, indices]);
  const [rows, columns] = table.shape as [number, number];
  const count = indices.size;
  const storage = backend.kernels.gather(table.storage, rows, columns, indices.storage, count);
  return result('gather', [table], storage, [...indices.shape, columns], () => ({
    saved: [indices],
    gradient: (dy, [at]) => [
      fromStorage(
        backend,
        backend.kernels.scatterAdd(dy.storage, at!.storage, count, rows, columns),
        [rows, columns],
        'f32',
      ),
    ],
  }));
}
