/** Products with, and rows of, a block-quantized matrix; its values are what core's block formats decode to. */
import { decodeRows } from '@lowrank/core';
import type { QuantizedMatmulSpec } from '@lowrank/core';
import type { Blocks } from './heap.ts';

/** Row by row, so that the matrix is never held decoded. */
function* decodedRows(weight: Blocks): Generator<Float32Array> {
  const { format, rows, columns, bytes } = weight;
  const row = new Float32Array(columns);
  for (let i = 0; i < rows; i++) yield decodeRows({ format, shape: [rows, columns], data: bytes }, i, 1, row);
}

/** x W^T [m, rows], or x W [m, columns] where `transposed`. */
export function matmulQuantized(x: Float64Array, weight: Blocks, spec: QuantizedMatmulSpec): Float64Array {
  const { m, rows, columns, transposed } = spec;
  const out = new Float64Array(m * (transposed ? columns : rows));
  let row = 0;
  for (const w of decodedRows(weight)) {
    for (let i = 0; i < m; i++) {
      if (transposed) {
        const factor = x[i * rows + row]!;
        for (let j = 0; j < columns; j++) out[i * columns + j]! += factor * w[j]!;
      } else {
        let sum = 0;
        for (let j = 0; j < columns; j++) sum += x[i * columns + j]! * w[j]!;
        out[i * rows + row] = sum;
      }
    }
    row++;
  }
  return out;
}

export function gatherQuantized(table: Blocks, indices: Int32Array): Float64Array {
  const { format, rows, columns, bytes } = table;
  const out = new Float64Array(indices.length * columns);
  for (const [i, index] of indices.entries()) {
    out.set(decodeRows({ format, shape: [rows, columns], data: bytes }, index, 1), i * columns);
  }
  return out;
}
