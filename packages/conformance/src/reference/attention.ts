/**
 * Causal grouped-query attention (Vaswani et al. 2017, arXiv 1706.03762; Ainslie et al. 2023, arXiv 2305.13245), one
 * query and head at a time, straight from the definition. The backward pass recomputes the probabilities from the kept
 * log-sum-exp, as Dao et al. 2022 (arXiv 2205.14135, section 3.1 and appendix B.2) do.
 */
import type { AttentionSpec } from '@lowrank/core';
import { logSumExp } from './softmax.ts';

/** One query of one head: its place, and the keys it sees. */
interface Row {
  /** Of q, output and their gradients. */
  readonly queryAt: number;
  /** Of logSumExp. */
  readonly at: number;
  /** Offset of key (or value) i of those it sees: first + i * step. */
  readonly first: number;
  readonly step: number;
  readonly visible: number;
}

export function forEachRow(spec: AttentionSpec, visit: (row: Row) => void): void {
  const { heads, kvHeads, headSize, segments } = spec;
  const group = heads / kvHeads;
  for (let s = 0; s < segments.length; s += 4) {
    const [query0, queries, key0, keys] = segments.subarray(s, s + 4) as unknown as [number, number, number, number];
    for (let i = 0; i < queries; i++) {
      for (let head = 0; head < heads; head++) {
        const at = (query0 + i) * heads + head;
        const first = (key0 * kvHeads + Math.floor(head / group)) * headSize;
        visit({ queryAt: at * headSize, at, first, step: kvHeads * headSize, visible: keys - queries + i + 1 });
      }
    }
  }
}

/** a[aAt : aAt + length] . b[bAt : bAt + length] */
function dot(a: Float64Array, aAt: number, b: Float64Array, bAt: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a[aAt + d]! * b[bAt + d]!;
  return sum;
}

/** to[toAt + d] += factor * from[fromAt + d] */
function addScaled(
  to: Float64Array,
  toAt: number,
  factor: number,
  from: Float64Array,
  fromAt: number,
  length: number,
): void {
  for (let d = 0; d < length; d++) to[toAt + d]! += factor * from[fromAt + d]!;
}

export function attention(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  spec: AttentionSpec,
): { output: Float64Array; logSumExp: Float64Array } {
  const { headSize, scale } = spec;
  const output = new Float64Array(q.length);
  const kept = new Float64Array(spec.queries * spec.heads);
  forEachRow(spec, ({ queryAt, at, first, step, visible }) => {
    const scores = new Float64Array(visible);
    for (let i = 0; i < visible; i++) scores[i] = scale * dot(q, queryAt, k, first + i * step, headSize);
    const total = logSumExp(scores);
    kept[at] = total;
    for (let i = 0; i < visible; i++) {
      addScaled(output, queryAt, Math.exp(scores[i]! - total), v, first + i * step, headSize);
    }
  });
  return { output, logSumExp: kept };
}

/** With p the probabilities: dv = p^T do, ds = p (do v^T - sum(do o)), dq = scale ds k, dk = scale ds^T q. */
export function attentionBackward(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  output: Float64Array,
  kept: Float64Array,
  dOutput: Float64Array,
  spec: AttentionSpec,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { headSize, scale } = spec;
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  forEachRow(spec, ({ queryAt, at, first, step, visible }) => {
    const mean = dot(dOutput, queryAt, output, queryAt, headSize);
    for (let i = 0; i < visible; i++) {
      const keyAt = first + i * step;
      const p = Math.exp(scale * dot(q, queryAt, k, keyAt, headSize) - kept[at]!);
      const ds = p * (dot(dOutput, queryAt, v, keyAt, headSize) - mean);
      addScaled(dv, keyAt, p, dOutput, queryAt, headSize);
      addScaled(dq, queryAt, scale * ds, k, keyAt, headSize);
      addScaled(dk, keyAt, scale * ds, q, queryAt, headSize);
    }
  });
  return { dq, dk, dv };
}
