/** Softmax over the last axis, and the log-sum-exp it shares with cross-entropy and attention. */

/** max + log(sum exp(x - max)): finite wherever the result is. -Infinity for nothing. */
export function logSumExp(x: Float64Array): number {
  let max = -Infinity;
  for (const value of x) max = Math.max(max, value);
  if (max === -Infinity) return max;
  let sum = 0;
  for (const value of x) sum += Math.exp(value - max);
  return max + Math.log(sum);
}

/** exp(x - max) / sum exp(x - max), row by row of [rows, columns]. */
export function softmax(x: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    let max = -Infinity;
    for (let j = 0; j < columns; j++) max = Math.max(max, x[from + j]!);
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += out[from + j] = Math.exp(x[from + j]! - max);
    for (let j = 0; j < columns; j++) out[from + j]! /= sum;
  }
  return out;
}

/** dx = y (dy - sum(y dy)). */
export function softmaxBackward(y: Float64Array, dy: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(y.length);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    let dot = 0;
    for (let j = 0; j < columns; j++) dot += y[from + j]! * dy[from + j]!;
    for (let j = 0; j < columns; j++) out[from + j] = y[from + j]! * (dy[from + j]! - dot);
  }
  return out;
}
