import type { RopeSpec } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { shapeText } from '../tensor/shape.ts';
import { commonBackend, type Tensor } from '../tensor/tensor.ts';
import { add, mul, sub } from './binary.ts';
import { concat } from './concat.ts';
import { gather } from './gather.ts';
import { reshape } from './reshape.ts';
import { slice } from './slice.ts';

export interface RopeOptions {
  readonly heads: number;
  /** cos and sin of every position's angles: [positions, rotary / 2]. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** i32 [tokens]. */
  readonly positions: Tensor;
  readonly pairing: RopeSpec['pairing'];
}

/** Rotary position embedding (Su et al. 2021, arXiv 2104.09864) of x [tokens, heads * headSize]. */
export function rope(x: Tensor, options: RopeOptions): Tensor {
  return turn(x, options, false);
}

function turn(x: Tensor, options: RopeOptions, inverse: boolean): Tensor {
  const { heads, cos, sin, positions, pairing } = options;
  const [tokens = 0, width = 0] = x.shape;
  const [tableRows = 0, pairs = 0] = cos.shape;
  const spec: RopeSpec = { tokens, heads, headSize: width / heads, rotary: pairs * 2, pairing, tableRows, inverse };
  if (
    x.shape.length !== 2 ||
    positions.size !== tokens ||
    !Number.isInteger(spec.headSize) ||
    spec.rotary > spec.headSize
  ) {
    throw new CoreError(
      'CORE_SHAPE',
      `rope: x ${shapeText(x.shape)}, ${heads} heads, ${positions.size} positions and a table ${shapeText(cos.shape)} do not fit`,
    );
  }
  const { kernels } = commonBackend('rope', [x, cos, sin, positions]);
  if (kernels.rope === undefined) return composed(x, options, spec);
  return result(
    'rope',
    [x],
    kernels.rope(x.storage, cos.storage, sin.storage, positions.storage, spec),
    x.shape,
    () => ({
      // Turning back is the gradient: a rotation's transpose is its inverse.
      saved: [cos, sin, positions],
      gradient: (dy, [c, s, p]) => [turn(dy, { ...options, cos: c!, sin: s!, positions: p! }, !inverse)],
    }),
  );
}

function composed(x: Tensor, { cos, sin, positions, pairing }: RopeOptions, spec: RopeSpec): Tensor {
  const { tokens, heads, headSize, rotary, inverse } = spec;
  const pairs = rotary / 2;
  const c = reshape(gather(cos, positions), [tokens, 1, pairs]);
  const s = reshape(gather(sin, positions), [tokens, 1, pairs]);
  const all = reshape(x, [tokens, heads, headSize]);
  const turning = slice(all, 2, 0, rotary);
  const split =
    pairing === 'half' ? reshape(turning, [tokens, heads, 2, pairs]) : reshape(turning, [tokens, heads, pairs, 2]);
  const axis = pairing === 'half' ? 2 : 3;
  const part = (i: number): Tensor => reshape(slice(split, axis, i, 1), [tokens, heads, pairs]);
  const [u, v] = [part(0), part(1)];
  const [first, second] = inverse
    ? [add(mul(u, c), mul(v, s)), sub(mul(v, c), mul(u, s))]
    : [sub(mul(u, c), mul(v, s)), add(mul(u, s), mul(v, c))];
  const wide = (y: Tensor): Tensor =>
    reshape(y, pairing === 'half' ? [tokens, heads, 1, pairs] : [tokens, heads, pairs, 1]);
  const turned = reshape(concat([wide(first), wide(second)], axis), [tokens, heads, rotary]);
  const still = rotary < headSize ? [slice(all, 2, rotary, headSize - rotary)] : [];
  return reshape(concat([turned, ...still], 2), x.shape);
}
