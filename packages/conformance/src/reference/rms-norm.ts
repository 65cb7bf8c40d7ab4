/** RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467) over the last axis of [rows, columns]. */

/** 1 / sqrt(mean(x^2) + epsilon) of one row. */
function inverseRms(x: Float64Array, from: number, columns: number, epsilon: number): number {
  let sum = 0;
  for (let j = 0; j < columns; j++) sum += x[from + j]! * x[from + j]!;
  return 1 / Math.sqrt(sum / columns + epsilon);
}

export function rmsNorm(
  x: Float64Array,
  weight: Float64Array,
  rows: number,
  columns: number,
  epsilon: number,
): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    const r = inverseRms(x, from, columns, epsilon);
    for (let j = 0; j < columns; j++) out[from + j] = x[from + j]! * r * weight[j]!;
  }
  return out;
}

/** dx = r (w dy) - x r^3 mean(w dy x), with r the inverse root mean square. */
export function rmsNormBackward(
  x: Float64Array,
  weight: Float64Array,
  dy: Float64Array,
  rows: number,
  columns: number,
  epsilon: number,
): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    const r = inverseRms(x, from, columns, epsilon);
    let dot = 0;
    for (let j = 0; j < columns; j++) dot += weight[j]! * dy[from + j]! * x[from + j]!;
    const back = (r * r * r * dot) / columns;
    for (let j = 0; j < columns; j++) {
      out[from + j] = r * weight[j]! * dy[from + j]! - x[from + j]! * back;
    }
  }
  return out;
}

/** dw = sum over rows of dy x r. */
export function rmsNormWeightBackward(
  x: Float64Array,
  dy: Float64Array,
  rows: number,
  columns: number,
  epsilon: number,
): Float64Array {
  const out = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    const r = inverseRms(x, from, columns, epsilon);
    for (let j = 0; j < columns; j++) out[j]! += dy[from + j]! * x[from + j]! * r;
  }
  return out;
}
