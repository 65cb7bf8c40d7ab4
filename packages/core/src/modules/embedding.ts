import type { Tensor } from '../tensor/tensor.ts';
import { gather } from '../ops/gather.ts';
import { Adaptable } from './adaptable.ts';
import { isFrozen } from './frozen-weight.ts';
import { inference, type ForwardPass } from './module.ts';

/** Rows of a table [vocabulary, dimension] at token ids. */
export class Embedding extends Adaptable {
  readonly kind = 'embedding';
  readonly bias = undefined;

  /** The vocabulary. */
  get inFeatures(): number {
    return this.weight.shape[0];
  }

  /** The dimension. */
  get outFeatures(): number {
    return this.weight.shape[1];
  }

  /** ids i32 [...] to [..., dimension]. */
  product(ids: Tensor): Tensor {
    const { weight } = this;
    return isFrozen(weight) ? weight.rows(ids) : gather(weight, ids);
  }

  /** ids i32 [...] to [..., dimension], with the adapters that sit on the layer. */
  forward(ids: Tensor, pass: ForwardPass = inference): Tensor {
    return this.adapted(ids, this.product(ids), pass);
  }
}
