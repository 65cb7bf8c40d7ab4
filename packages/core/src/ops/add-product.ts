import { CoreError } from '../errors/core-error.ts';
import { recordNode } from '../tensor/record.ts';
import { sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { commonBackend, type Tensor } from '../tensor/tensor.ts';
import { addInto, takesOver } from './add-into.ts';
import { matmul, productPlan, productRule, type MatmulOptions } from './matmul.ts';
import { reshape } from './reshape.ts';

/**
 * sum + a b. `sum` has the product's shape, or more leading axes than it with as many elements; it is taken over as by `addInto`, and
 * where the backend can, the product is added in while it is computed.
 * @throws CoreError CORE_SHAPE.
 */
export function addProduct(sum: Tensor, a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { matmulAccumulate } = commonBackend('addProduct', [sum, a, b]).kernels;
  const { shape, spec } = productPlan(a, b, options);
  if (sum.size !== sizeOf(shape) || sum.shape.at(-1) !== shape.at(-1)) {
    throw new CoreError(
      'CORE_SHAPE',
      `addProduct: a product ${shapeText(shape)} does not fit the sum ${shapeText(sum.shape)}`,
      { value: [sum.shape, shape] },
    );
  }
  if (matmulAccumulate === undefined || !takesOver(sum)) {
    const product = matmul(a, b, options);
    const y = addInto(sum, sameShape(shape, sum.shape) ? product : reshape(product, sum.shape));
    product.dispose();
    return y;
  }
  const node = recordNode('addProduct', [sum, a, b], () => {
    const { saved = [], gradient } = productRule(a, b, options);
    return {
      saved,
      gradient: (dy, kept, [needsSum, ...needs], [, ...sums]) => [
        needsSum ? dy.detach() : undefined,
        ...gradient(dy.alias(shape), kept, needs, sums),
      ],
    };
  });
  matmulAccumulate(sum.storage, a.storage, b.storage, spec);
  const y = sum.alias(sum.shape, node);
  sum.dispose();
  return y;
}
