import { elementary, gather, noGrad, scope, tensor } from '@lowrank/core';
import { sequenceBatch, type CausalLm } from '@lowrank/models';

/** Logits behind tokens `from` to the last: a row for each, [vocabulary]. */
export async function logitsOf(model: CausalLm, tokens: Int32Array, from: number): Promise<Float64Array[]> {
  const rows = Int32Array.from({ length: tokens.length - from }, (_, i) => from + i);
  const logits = scope(() =>
    noGrad(() =>
      model.logits(gather(model.hidden(sequenceBatch([tokens])), tensor(model.backend, rows, [rows.length]))),
    ),
  );
  const values = Float64Array.from(await logits.data());
  logits.dispose();
  const width = model.config.vocabularySize;
  return Array.from(rows, (_, i) => values.subarray(i * width, (i + 1) * width));
}

/** The greatest difference of log-probabilities, over all tokens and rows. */
export function greatestDifference(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  if (a.length !== b.length) throw new Error(`${a.length} rows of logits cannot be compared with ${b.length}`);
  const differences = a.map((row, i) => {
    const [left, right] = [logSoftmax(row), logSoftmax(b[i]!)];
    return left.reduce((most, value, id) => Math.max(most, Math.abs(value - right[id]!)), 0);
  });
  return Math.max(...differences);
}

/** Logarithms of softmax(logits), in float64. */
function logSoftmax(logits: Float64Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = logits.reduce((total, logit) => total + elementary.exp(logit - most), 0);
  const shift = most + elementary.log(sum);
  return logits.map((logit) => logit - shift);
}
