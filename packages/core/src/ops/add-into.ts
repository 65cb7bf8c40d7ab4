import { recordNode } from '../tensor/record.ts';
import { sameShape } from '../tensor/shape.ts';
import { commonBackend, type Tensor } from '../tensor/tensor.ts';
import { add } from './binary.ts';

/**
 * sum + x of one shape, the bits of `add`. Takes `sum` over: its storage holds the result where nobody else, a gradient among
 * them, holds that; so nothing is allocated, and one array less goes through memory. `sum` is disposed.
 */
export function addInto(sum: Tensor, x: Tensor): Tensor {
  const { kernels } = commonBackend('addInto', [sum, x]);
  const leaf = sum.requiresGrad && sum.node === undefined;
  if (leaf || !sum.exclusive || !sameShape(sum.shape, x.shape)) {
    const y = add(sum, x);
    sum.dispose();
    return y;
  }
  const node = recordNode('add', [sum, x], () => ({
    gradient: (dy, _, needs) => needs.map((needed) => (needed ? dy.detach() : undefined)),
  }));
  kernels.accumulate(sum.storage, x.storage, sum.size);
  const y = sum.alias(sum.shape, node);
  sum.dispose();
  return y;
}
