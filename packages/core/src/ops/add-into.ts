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
  if (!takesOver(sum) || !sameShape(sum.shape, x.shape)) {
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

/** Whether a sum's storage may hold the result: nobody else has it, and it is not trained. */
export function takesOver(sum: Tensor): boolean {
  return sum.exclusive && (sum.node !== undefined || !sum.requiresGrad);
}
