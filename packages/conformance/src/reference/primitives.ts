/** The primitives on the reference's storage: operands checked, formulas called. */
import type { MatmulSpec, Primitives, Storage } from '@lowrank/core';
import { accumulate, binary, commonShape, toInt32, unary, where } from './elementwise.ts';
import { assertIndices, refuse, sizeOf } from './heap.ts';
import type { Heap } from './heap.ts';
import { gather, scatterAdd } from './indexing.ts';
import { concat, permute, slice, writeSlice } from './layout.ts';
import { matmul } from './matmul.ts';
import { reduce } from './reduce.ts';

export function primitives(heap: Heap): Primitives {
  return {
    unary: (op, x, length) => heap.adopt(unary(op, heap.f32('unary', 'x', x, length))),

    binary(op, a, aShape, b, bShape) {
      const left = heap.f32('binary', 'a', a, sizeOf('binary', 'aShape', aShape));
      const right = heap.f32('binary', 'b', b, sizeOf('binary', 'bShape', bShape));
      if (commonShape(aShape, bShape) === undefined) {
        throw refuse('binary', `[${aShape.join(', ')}] and [${bShape.join(', ')}] do not broadcast`, [aShape, bShape]);
      }
      return heap.adopt(binary(op, left, aShape, right, bShape));
    },

    where(condition, conditionShape, a, aShape, b, bShape, shape) {
      const operands = [
        ['condition', condition, conditionShape],
        ['a', a, aShape],
        ['b', b, bShape],
      ] as const;
      sizeOf('where', 'shape', shape);
      const [c, p, q] = operands.map(([name, storage, own]) => {
        const common = commonShape(own, shape);
        if (common === undefined || common.some((size, axis) => size !== shape[axis])) {
          throw refuse('where', `${name} [${own.join(', ')}] does not broadcast to [${shape.join(', ')}]`, own);
        }
        return heap.f32('where', name, storage, sizeOf('where', name, own));
      }) as [Float64Array, Float64Array, Float64Array];
      return heap.adopt(where(c, conditionShape, p, aShape, q, bShape, shape));
    },

    fill(value, length, dtype) {
      heap.assertUsable('fill');
      sizeOf('fill', 'length', [length]);
      return heap.adopt((dtype === 'i32' ? new Int32Array(length) : new Float64Array(length)).fill(value));
    },

    reduce(op, x, outer, axis, inner) {
      const size = sizeOf('reduce', '[outer, axis, inner]', [outer, axis, inner]);
      return heap.adopt(reduce(op, heap.f32('reduce', 'x', x, size), outer, axis, inner));
    },

    matmul(a, b, spec) {
      return heap.adopt(matmul(...factors(heap, 'matmul', a, b, spec), spec));
    },

    permute(x, shape, axes) {
      const data = heap.either('permute', 'x', x, sizeOf('permute', 'shape', shape));
      const sorted = axes.toSorted((a, b) => a - b);
      if (axes.length !== shape.length || sorted.some((axis, i) => axis !== i)) {
        throw refuse('permute', `axes [${axes.join(', ')}] are no permutation of ${shape.length} axes`, axes);
      }
      return heap.adopt(permute(data, shape, axes));
    },

    gather(table, rows, columns, indices, count) {
      const data = heap.f32('gather', 'table', table, sizeOf('gather', '[rows, columns]', [rows, columns]));
      const index = heap.i32('gather', 'indices', indices, count);
      assertIndices('gather', 'indices', index, rows);
      return heap.adopt(gather(data, columns, index));
    },

    scatterAdd(source, indices, count, rows, columns) {
      const data = heap.f32('scatterAdd', 'source', source, sizeOf('scatterAdd', '[count, columns]', [count, columns]));
      const index = heap.i32('scatterAdd', 'indices', indices, count);
      sizeOf('scatterAdd', '[rows, columns]', [rows, columns]);
      assertIndices('scatterAdd', 'indices', index, rows);
      return heap.adopt(scatterAdd(data, index, rows, columns));
    },

    slice(x, shape, start, size) {
      const data = heap.either('slice', 'x', x, sizeOf('slice', 'shape', shape));
      assertWindow('slice', shape, start, size);
      return heap.adopt(slice(data, shape, start, size));
    },

    writeSlice(target, shape, source, start, size) {
      const to = heap.either('writeSlice', 'target', target, sizeOf('writeSlice', 'shape', shape));
      const from = heap.either('writeSlice', 'source', source, sizeOf('writeSlice', 'size', size));
      assertWindow('writeSlice', shape, start, size);
      if (source.dtype !== target.dtype) {
        throw refuse('writeSlice', `source is ${source.dtype}, target ${target.dtype}`, source.dtype);
      }
      writeSlice(to, shape, from, start, size);
    },

    concat(parts, outer, axes, inner) {
      if (parts.length === 0 || parts.length !== axes.length) {
        throw refuse('concat', `${parts.length} parts with ${axes.length} axes; at least one of each`, axes);
      }
      const data = parts.map((part, i) => {
        if (part.dtype !== parts[0]!.dtype) {
          throw refuse('concat', `parts[${i}] is ${part.dtype}, parts[0] ${parts[0]!.dtype}`, part.dtype);
        }
        const size = sizeOf('concat', '[outer, axis, inner]', [outer, axes[i]!, inner]);
        return heap.either('concat', `parts[${i}]`, part, size);
      });
      return heap.adopt(concat(data, outer, axes, inner));
    },

    cast(x, length, to) {
      const data = heap.either('cast', 'x', x, length);
      return heap.adopt(to === 'i32' ? toInt32(new Float64Array(data)) : new Float64Array(data));
    },

    accumulate(target, source, length) {
      const to = heap.f32('accumulate', 'target', target, length);
      accumulate(to, heap.f32('accumulate', 'source', source, length));
    },
  };
}

/** A product's operands. */
export function factors(
  heap: Heap,
  kernel: string,
  a: Storage,
  b: Storage,
  { batch, m, n, k, batchA, batchB }: MatmulSpec,
): [Float64Array, Float64Array] {
  sizeOf(kernel, '[batch, m, n, k]', [batch, m, n, k]);
  return [
    heap.f32(kernel, 'a', a, (batchA ? batch : 1) * m * k),
    heap.f32(kernel, 'b', b, (batchB ? batch : 1) * k * n),
  ];
}

function assertWindow(
  kernel: string,
  shape: readonly number[],
  start: readonly number[],
  size: readonly number[],
): void {
  const fits = (length: number, axis: number) =>
    sizeOf(kernel, 'start', [start[axis]!]) + sizeOf(kernel, 'size', [size[axis]!]) <= length;
  if (start.length !== shape.length || size.length !== shape.length || !shape.every(fits)) {
    throw refuse(
      kernel,
      `start [${start.join(', ')}] and size [${size.join(', ')}] do not lie inside [${shape.join(', ')}]`,
      [start, size],
    );
  }
}
