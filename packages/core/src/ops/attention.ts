import type { AttentionSpec } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { shapeText } from '../tensor/shape.ts';
import { commonBackend, fromStorage, tensor, type Tensor } from '../tensor/tensor.ts';
import { add } from './binary.ts';
import { concat } from './concat.ts';
import { matmul } from './matmul.ts';
import { permute } from './permute.ts';
import { reshape } from './reshape.ts';
import { scale } from './scale.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';

export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  /** [count, 4]: first query, queries, first key, keys of each sequence; see `AttentionSpec`. Never changed once passed. */
  readonly segments: Int32Array;
  /** Multiplies q k^T; 1 / sqrt(headSize) when absent. */
  readonly scale?: number;
}

/**
 * Causal grouped-query attention over sequences that lie one behind the other without padding.
 * q [queries, heads * headSize], k and v [keys, kvHeads * headSize]; the result has q's shape.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  const backend = commonBackend('attention', [q, k, v]);
  const spec = specOf(q, k, v, options);
  const { kernels } = backend;
  if (kernels.attention === undefined || kernels.attentionBackward === undefined) return composed(q, k, v, spec);
  const { output, logSumExp } = kernels.attention(q.storage, k.storage, v.storage, spec);
  const lse = fromStorage(backend, logSumExp, [spec.queries, spec.heads], 'f32');
  const attended = result('attention', [q, k, v], output, q.shape, (y) => ({
    saved: [q, k, v, y, lse],
    gradient: (dy, saved) => {
      const [sq, sk, sv, sy, sl] = saved.map((tensor) => tensor.storage);
      const { dq, dk, dv } = kernels.attentionBackward!(sq!, sk!, sv!, sy!, sl!, dy.storage, spec);
      return [
        fromStorage(backend, dq, q.shape, 'f32'),
        fromStorage(backend, dk, k.shape, 'f32'),
        fromStorage(backend, dv, v.shape, 'f32'),
      ];
    },
  }));
  lse.dispose();
  return attended;
}

function specOf(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): AttentionSpec {
  const { heads, kvHeads, segments } = options;
  const [queries = 0, width = 0] = q.shape;
  const [keys = 0, kvWidth = 0] = k.shape;
  const headSize = width / heads;
  const fits =
    q.shape.length === 2 &&
    Number.isInteger(headSize) &&
    heads % kvHeads === 0 &&
    kvWidth === kvHeads * headSize &&
    v.shape[0] === keys &&
    v.shape[1] === kvWidth;
  if (!fits) {
    throw new CoreError(
      'CORE_SHAPE',
      `attention: q ${shapeText(q.shape)}, k ${shapeText(k.shape)}, v ${shapeText(v.shape)} do not fit ${heads} heads and ${kvHeads} key-value heads`,
    );
  }
  checkSegments(segments, queries, keys);
  return { queries, keys, heads, kvHeads, headSize, scale: options.scale ?? 1 / Math.sqrt(headSize), segments };
}

function checkSegments(segments: Int32Array, queries: number, keys: number): void {
  let next = 0;
  for (let at = 0; at < segments.length; at += 4) {
    const [firstQuery, queryCount, firstKey, keyCount] = segments.subarray(at, at + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const inside = queryCount >= 0 && queryCount <= keyCount && firstKey >= 0 && firstKey + keyCount <= keys;
    if (firstQuery !== next || !inside) {
      throw new CoreError(
        'CORE_ARGUMENT',
        `attention: segment ${at / 4} (${firstQuery}, ${queryCount}, ${firstKey}, ${keyCount}) does not continue the queries, sees fewer keys than it has queries, or leaves the ${keys} keys`,
        { value: segments },
      );
    }
    next += queryCount;
  }
  if (next !== queries) {
    throw new CoreError('CORE_ARGUMENT', `attention: the segments cover ${next} of ${queries} queries`, {
      value: segments,
    });
  }
}

function composed(q: Tensor, k: Tensor, v: Tensor, spec: AttentionSpec): Tensor {
  const { heads, kvHeads, headSize, segments } = spec;
  const group = heads / kvHeads;
  const outputs: Tensor[] = [];
  for (let at = 0; at < segments.length; at += 4) {
    const [firstQuery, queryCount, firstKey, keyCount] = segments.subarray(at, at + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    if (queryCount === 0) continue;
    const rows = slice(q, 0, firstQuery, queryCount);
    // [kvHeads, queries * group, headSize]: the heads that share a key-value head lie side by side.
    const queries = reshape(permute(reshape(rows, [queryCount, kvHeads, group, headSize]), [1, 0, 2, 3]), [
      kvHeads,
      queryCount * group,
      headSize,
    ]);
    const heads3 = (x: Tensor): Tensor =>
      permute(reshape(slice(x, 0, firstKey, keyCount), [keyCount, kvHeads, headSize]), [1, 0, 2]);
    const scores = scale(matmul(queries, heads3(k), { transposeB: true }), spec.scale);
    const masked = add(reshape(scores, [kvHeads, queryCount, group, keyCount]), causalMask(q, queryCount, keyCount));
    const weights = reshape(softmax(masked), [kvHeads, queryCount * group, keyCount]);
    const mixed = reshape(matmul(weights, heads3(v)), [kvHeads, queryCount, group, headSize]);
    outputs.push(reshape(permute(mixed, [1, 0, 2, 3]), [queryCount, heads * headSize]));
  }
  if (outputs.length === 0) return scale(q, 0);
  return outputs.length === 1 ? outputs[0]! : concat(outputs, 0);
}

/** 0 where query i may see key j, else a number so low that its softmax weight is 0: [1, queries, 1, keys]. */
function causalMask(like: Tensor, queries: number, keys: number): Tensor {
  const mask = new Float32Array(queries * keys);
  for (let i = 0; i < queries; i++) {
    mask.fill(-1e30, i * keys + (keys - queries + i) + 1, (i + 1) * keys);
  }
  return tensor(like.backend, mask, [1, queries, 1, keys]);
}
