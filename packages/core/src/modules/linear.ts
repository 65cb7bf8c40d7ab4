import type { Backend } from '../backend/backend.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { add } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { reshape } from '../ops/reshape.ts';
import { shapeText } from '../tensor/shape.ts';
import { keep } from '../tensor/scope.ts';
import { tensor, type Tensor } from '../tensor/tensor.ts';
import { Adaptable } from './adaptable.ts';
import { FrozenWeight, isFrozen } from './frozen-weight.ts';
import { inference, type ForwardPass, type Weight } from './module.ts';

/** y = x W^T + b, with W [out, in] and b [out]. */
export class Linear extends Adaptable {
  readonly kind = 'linear';
  #bias: Tensor | undefined;

  constructor(weight: Weight, bias?: Tensor) {
    super(weight);
    if (
      weight.shape.length !== 2 ||
      (bias !== undefined && (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0]))
    ) {
      throw new CoreError(
        'CORE_SHAPE',
        `a linear layer has a weight [out, in] and a bias [out], not ${shapeText(weight.shape)} and ${shapeText(bias?.shape ?? [])}`,
      );
    }
    this.#bias = bias;
  }

  get bias(): Tensor | undefined {
    return this.#bias;
  }

  override replace(name: string, weight: Weight): Weight {
    if (name !== 'bias' || this.#bias === undefined || isFrozen(weight)) return super.replace(name, weight);
    const before = this.#bias;
    this.#bias = weight;
    return before;
  }

  get inFeatures(): number {
    return this.weight.shape[1];
  }

  get outFeatures(): number {
    return this.weight.shape[0];
  }

  product(x: Tensor): Tensor {
    const { weight } = this;
    if (isFrozen(weight)) return weight.product(x);
    const rows = x.shape.length === 1 ? reshape(x, [1, x.size]) : x;
    return reshape(matmul(rows, weight, { transposeB: true }), x.shape.with(-1, this.outFeatures));
  }

  /** x [..., in] to [..., out], with the adapters that sit on the layer. */
  forward(x: Tensor, pass: ForwardPass = inference): Tensor {
    const y = this.product(x);
    return this.adapted(x, this.bias === undefined ? y : add(y, this.bias), pass);
  }
}

/** A weight on the host: an array with a format, or plain values with a shape. */
export type WeightSource =
  | HostArray
  | { readonly values: readonly number[] | Float32Array; readonly shape: readonly [number, number] };

/**
 * A frozen linear layer.
 * @param weight [out, in].
 * @param bias [out].
 */
export function linear(backend: Backend, weight: WeightSource, bias?: readonly number[] | Float32Array): Linear {
  const array: HostArray =
    'values' in weight ? { format: 'f32', shape: weight.shape, data: Float32Array.from(weight.values) } : weight;
  return new Linear(
    new FrozenWeight(backend, array),
    bias === undefined ? undefined : keep(tensor(backend, bias, [bias.length])),
  );
}
