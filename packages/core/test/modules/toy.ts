import {
  ADAPTER_INTERFACE_VERSION,
  add,
  decodeArray,
  Embedding,
  FrozenWeight,
  hostWeight,
  keep,
  Linear,
  linear,
  matmul,
  Module,
  ModuleList,
  mul,
  RmsNorm,
  scale,
  tensor,
  type Adapter,
  type AdapterConfig,
  type Backend,
  type ForwardPass,
  type HostArray,
  type Tensor,
} from '@lowrank/core';
import { valuesOf } from '../support/gradient-check.ts';

export interface ShiftConfig extends AdapterConfig {
  readonly size: number;
  readonly probability: number;
}

/** A third party's adapter: adds size * x D, with a trained full-sized D [in, out] that starts at a random value. */
export const shift: Adapter<ShiftConfig> = {
  type: 'shift',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: (input) => input as ShiftConfig,
  setup: (site, _original, _config, context) => {
    const shape = [site.inFeatures, site.outFeatures];
    const values = context.random('D').normal(site.inFeatures * site.outFeatures, 0.1);
    return Promise.resolve({ params: { D: tensor(context.backend, values, shape) }, buffers: {} });
  },
  delta: (x, _y0, _base, { params }, { size, probability }, context) =>
    scale(matmul(context.dropout(x, probability), params['D']!), size),
  merge: async (original, { params }, { size }) => {
    const [out, inputs] = original.shape;
    const merged = Float32Array.from(await original.values());
    const d = decodeArray(params['D']!);
    for (let o = 0; o < out; o++) for (let i = 0; i < inputs; i++) merged[o * inputs + i]! += size * d[i * out + o]!;
    return hostWeight(original.shape, merged);
  },
  files: { gguf: { unsupported: 'a toy' }, peft: { unsupported: 'a toy' } },
};

export const shiftConfig = (
  targetModules: ShiftConfig['targetModules'],
  options: Partial<ShiftConfig> = {},
): { adapter: Adapter<ShiftConfig>; config: ShiftConfig } => ({
  adapter: shift,
  config: { targetModules, excludeModules: [], size: 0.5, probability: 0, ...options },
});

export const WIDTH = 6;
export const VOCABULARY = 5;

/** f32 values of a weight [out, in]. */
function weightValues(name: string, shape: readonly [number, number]): HostArray {
  return { format: 'f32', shape, data: Float32Array.from(valuesOf({ shape }, name)) };
}

class Block extends Module {
  readonly up: Linear;
  readonly down: Linear;

  constructor(backend: Backend, name: string) {
    super();
    this.up = this.child(
      'up',
      linear(
        backend,
        weightValues(`${name}.up`, [WIDTH + 1, WIDTH]),
        Array.from({ length: WIDTH + 1 }, (_, i) => i / 10),
      ),
    );
    this.down = this.child('down', linear(backend, weightValues(`${name}.down`, [WIDTH, WIDTH + 1])));
  }

  forward(x: Tensor, pass?: ForwardPass): Tensor {
    const h = this.up.forward(x, pass);
    return add(x, this.down.forward(mul(h, h), pass));
  }
}

/** An embedding, two blocks, a norm, and the embedding's weight again as the head. */
export class ToyModel extends Module {
  readonly embed: Embedding;
  readonly layers: ModuleList<Block>;
  readonly norm: RmsNorm;
  readonly head: Linear;

  constructor(backend: Backend) {
    super();
    const tied = new FrozenWeight(backend, weightValues('embed', [VOCABULARY, WIDTH]));
    this.embed = this.child('embed', new Embedding(tied));
    this.layers = this.child('layers', new ModuleList([new Block(backend, '0'), new Block(backend, '1')]));
    this.norm = this.child(
      'norm',
      new RmsNorm(keep(tensor(backend, valuesOf({ shape: [WIDTH], low: 0.5 }, 'norm'), [WIDTH])), 1e-5),
    );
    this.head = this.child('lm_head', new Linear(tied));
  }

  forward(ids: Tensor, pass?: ForwardPass): Tensor {
    let x = this.embed.forward(ids, pass);
    for (const layer of this.layers.items) x = layer.forward(x, pass);
    return this.head.forward(this.norm.forward(x), pass);
  }
}
