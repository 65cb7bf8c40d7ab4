/** Cross-entropy of logits [rows, columns] against class indices; a negative target is ignored. */
import { logSumExp } from './softmax.ts';

export function crossEntropy(
  logits: Float64Array,
  targets: Int32Array,
  rows: number,
  columns: number,
): { losses: Float64Array; logSumExp: Float64Array } {
  const losses = new Float64Array(rows);
  const kept = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const target = targets[row]!;
    kept[row] = logSumExp(logits.subarray(row * columns, (row + 1) * columns));
    losses[row] = target < 0 ? 0 : kept[row]! - logits[row * columns + target]!;
  }
  return { losses, logSumExp: kept };
}

/** (softmax(logits) - onehot(target)) dLosses[row]. */
export function crossEntropyBackward(
  logits: Float64Array,
  targets: Int32Array,
  kept: Float64Array,
  dLosses: Float64Array,
  rows: number,
  columns: number,
): Float64Array {
  const out = new Float64Array(logits.length);
  for (let row = 0; row < rows; row++) {
    const target = targets[row]!;
    if (target < 0) continue;
    for (let j = 0; j < columns; j++) {
      const at = row * columns + j;
      out[at] = (Math.exp(logits[at]! - kept[row]!) - (j === target ? 1 : 0)) * dLosses[row]!;
    }
  }
  return out;
}
