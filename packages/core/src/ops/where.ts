import { result } from '../tensor/record.ts';
import { broadcastShapes, padShape } from '../tensor/shape.ts';
import { commonBackend, filled, type Tensor } from '../tensor/tensor.ts';
import { sumTo } from './sum-to.ts';

/** a where condition is not 0, else b; all broadcast. No gradient flows to the condition. */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  const backend = commonBackend('where', [condition, a, b]);
  const shape = broadcastShapes(broadcastShapes(condition.shape, a.shape, 'where'), b.shape, 'where');
  const pad = (x: Tensor): number[] => padShape(x.shape, shape.length);
  const storage = backend.kernels.where(condition.storage, pad(condition), a.storage, pad(a), b.storage, pad(b), shape);
  const [aShape, bShape] = [a.shape, b.shape];
  return result('where', [a, b], storage, shape, () => ({
    saved: [condition],
    gradient: (dy, [kept], [needA, needB]) => {
      const zero = filled(
        backend,
        0,
        shape.map(() => 1),
      );
      return [
        needA ? sumTo(where(kept!, dy, zero), aShape) : undefined,
        needB ? sumTo(where(kept!, zero, dy), bShape) : undefined,
      ];
    },
  }));
}
