import { lowRankScale, type LowRankConfig } from '../adapter/low-rank/index.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Embedding } from './embedding.ts';
import type { InjectedAdapter } from './injected-adapter.ts';
import type { Linear } from './linear.ts';
import type { ForwardPass } from './module.ts';
import { WrappedLayer } from './wrap-layer.ts';

/** One layer with one adapter of LoRA's family: a change B A of rank `rank`, scaled. */
export abstract class WrappedLowRank extends WrappedLayer {
  readonly config: LowRankConfig;

  constructor(layer: Linear | Embedding, adapter: InjectedAdapter, config: LowRankConfig) {
    super(layer, adapter);
    this.config = config;
  }

  get rank(): number {
    return this.config.rank;
  }

  get alpha(): number {
    return this.config.alpha;
  }

  /** What multiplies B A: alpha / rank, or alpha / sqrt(rank). */
  get scale(): number {
    return lowRankScale(this.config);
  }

  /** What the adapter adds to the layer's output, alone: x [..., in] to [..., out]. */
  abstract delta(x: Tensor, pass?: ForwardPass): Tensor;
}
