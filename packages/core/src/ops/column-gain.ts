import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { shapeText } from '../tensor/shape.ts';
import { commonBackend, filled, fromStorage, type Tensor } from '../tensor/tensor.ts';
import { add, div, equal, mul } from './binary.ts';

/**
 * x [..., columns] times gain [columns], the bits of `mul`. For the gain's gradient it keeps its result y in the place of x, and finds
 * sum(dy x) as sum(dy y) / gain: y is often kept anyway by what comes next, x never. A gain of exactly 0 gets the gradient 0.
 */
export function columnGain(x: Tensor, gain: Tensor): Tensor {
  const { shape } = x;
  const columns = shape.at(-1);
  if (gain.shape.length !== 1 || gain.shape[0] !== columns) {
    throw new CoreError('CORE_SHAPE', `columnGain: a gain ${shapeText(gain.shape)} does not fit ${shapeText(shape)}`, {
      value: gain.shape,
    });
  }
  const backend = commonBackend('columnGain', [x, gain]);
  const { kernels } = backend;
  const rows = columns === 0 ? 0 : x.size / columns!;
  const matrix = [rows, columns!];
  const scaled = (values: Tensor, factor: Tensor): ReturnType<typeof kernels.binary> =>
    kernels.binary('mul', values.storage, matrix, factor.storage, [1, columns!]);
  const [needsX, needsGain] = [x.requiresGrad, gain.requiresGrad];
  return result('columnGain', [x, gain], scaled(x, gain), shape, (y) => ({
    saved: [gain, ...(needsGain ? [y] : [])],
    gradient: (dy, [factor, product]) => {
      const toX = needsX ? fromStorage(backend, scaled(dy, factor!), shape, 'f32') : undefined;
      if (product === undefined) return [toX, undefined];
      const each = mul(dy, product);
      const sums = kernels.reduce('sum', each.storage, 1, rows, columns!);
      each.dispose();
      const zero = filled(backend, 0, [1]);
      // 1 in the place of a gain of 0, whose sum is 0.
      const divisor = add(factor!, equal(factor!, zero));
      return [toX, div(fromStorage(backend, sums, [columns!], 'f32'), divisor)];
    },
  }));
}
