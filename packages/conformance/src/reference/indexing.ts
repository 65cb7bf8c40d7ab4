/** Rows by index: a table's lookup and its gradient. */

/** Rows `indices` of table [rows, columns]. */
export function gather(table: Float64Array, columns: number, indices: Int32Array): Float64Array {
  const out = new Float64Array(indices.length * columns);
  for (const [i, row] of indices.entries()) {
    out.set(table.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return out;
}

/** Zeros [rows, columns] plus the rows of source at `indices`, in ascending order. */
export function scatterAdd(source: Float64Array, indices: Int32Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(rows * columns);
  for (const [i, row] of indices.entries()) {
    for (let j = 0; j < columns; j++) out[row * columns + j]! += source[i * columns + j]!;
  }
  return out;
}
