/** How many rows are added to the sum at a time: each element of it is then read and written once for all of them. */
const group = 8;

/** M^T M [columns, columns] of a row-major matrix, in float64, each element summed in one order. */
export function gramOfColumns(values: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const gram = new Float64Array(columns * columns);
  const block = new Float64Array(group * columns);
  for (let start = 0; start < rows; start += group) {
    const count = Math.min(group, rows - start);
    block.fill(0);
    for (let i = 0; i < count * columns; i++) block[i] = values[start * columns + i]!;
    addBlock(gram, block, columns);
  }
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j < i; j++) gram[i * columns + j] = gram[j * columns + i]!;
  }
  return gram;
}

/** Adds X^T X for the `group` rows of X to the upper triangle. */
function addBlock(gram: Float64Array, x: Float64Array, n: number): void {
  const [r1, r2, r3, r4, r5, r6, r7] = [n, 2 * n, 3 * n, 4 * n, 5 * n, 6 * n, 7 * n];
  for (let i = 0; i < n; i++) {
    const at = i * n;
    const a0 = x[i]!;
    const a1 = x[r1 + i]!;
    const a2 = x[r2 + i]!;
    const a3 = x[r3 + i]!;
    const a4 = x[r4 + i]!;
    const a5 = x[r5 + i]!;
    const a6 = x[r6 + i]!;
    const a7 = x[r7 + i]!;
    for (let j = i; j < n; j++) {
      gram[at + j] =
        gram[at + j]! +
        (a0 * x[j]! +
          a1 * x[r1 + j]! +
          a2 * x[r2 + j]! +
          a3 * x[r3 + j]! +
          a4 * x[r4 + j]! +
          a5 * x[r5 + j]! +
          a6 * x[r6 + j]! +
          a7 * x[r7 + j]!);
    }
  }
}
