import {
  inference,
  keep,
  Linear,
  maximum,
  Module,
  RandomStream,
  tensor,
  type Backend,
  type ForwardPass,
  type Tensor,
} from '@lowrank/core';
import { CLASSES, PIXELS } from './digits.ts';

const sizes = [PIXELS, 128, 256, CLASSES] as const;

/** One layer's weight [out, in] and bias [out]. */
interface LayerWeights {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** Of the layers from the first to the last. */
export type NetworkWeights = readonly LayerWeights[];

/** Uniform within 1 / sqrt(in), as PyTorch's `nn.Linear` starts. */
export function initialWeights(seed: number): NetworkWeights {
  return sizes.slice(1).map((outFeatures, i) => {
    const inFeatures = sizes[i]!;
    const random = new RandomStream(seed, `fc${i + 1}`);
    const bound = 1 / Math.sqrt(inFeatures);
    return {
      weight: random.uniform(outFeatures * inFeatures, -bound, bound),
      bias: random.uniform(outFeatures, -bound, bound),
    };
  });
}

/** Three linear layers, 784-128-256-10, with ReLU between them. All is trained until `freeze` says otherwise. */
export class Network extends Module {
  readonly #layers: readonly Linear[];
  readonly #zero: Tensor;

  constructor(backend: Backend, weights: NetworkWeights) {
    super();
    this.#zero = keep(tensor(backend, [0], [1, 1]));
    const trained = (values: Float32Array, shape: readonly number[]): Tensor => {
      const parameter = keep(tensor(backend, values, shape));
      parameter.requiresGrad = true;
      return parameter;
    };
    this.#layers = weights.map(({ weight, bias }, i) => {
      const [inFeatures, outFeatures] = [sizes[i]!, sizes[i + 1]!];
      return this.child(
        `fc${i + 1}`,
        new Linear(trained(weight, [outFeatures, inFeatures]), trained(bias, [outFeatures])),
      );
    });
  }

  /** images [count, 784] to logits [count, 10]. */
  logits(images: Tensor, pass: ForwardPass = inference): Tensor {
    return this.#layers.reduce((x, layer, i) => layer.forward(i === 0 ? x : maximum(x, this.#zero), pass), images);
  }

  /** The weights without adapters, for a network that goes on from here. */
  async read(): Promise<NetworkWeights> {
    const values = async (tensor: Tensor): Promise<Float32Array> => Float32Array.from(await tensor.data());
    return Promise.all(
      this.#layers.map(async ({ weight, bias }) => ({
        weight: await values(weight as Tensor),
        bias: await values(bias!),
      })),
    );
  }

  override dispose(): void {
    super.dispose();
    this.#zero.dispose();
  }
}
