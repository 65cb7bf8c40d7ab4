import { recommendedLowRank, type ConfiguredAdapter } from '@lowrank/core';
import { buildDora } from './build.ts';
import { parseDoraConfig, type DoraConfig, type DoraOptions } from './config.ts';
import { doraDelta } from './delta.ts';
import { doraAdapter } from './dora-adapter.ts';
import { wrapDora } from './wrap.ts';

/** `dora` and what hangs on it. */
export interface Dora {
  /**
   * DoRA with options, for `inject`: see {@link DoraOptions} for the defaults.
   * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
   */
  (options?: DoraOptions): ConfiguredAdapter<DoraConfig>;
  /** Puts DoRA on one layer. */
  readonly wrap: typeof wrapDora;
  /** A layer with DoRA from a weight. */
  readonly build: typeof buildDora;
  /** (g - 1) W x + g s B (A x) of plain tensors. */
  readonly delta: typeof doraDelta;
  /** A rank and alpha to begin with: `dora({ ...dora.recommendedDefaults })`. */
  readonly recommendedDefaults: { readonly rank: number; readonly alpha: number };
}

/** DoRA, weight-decomposed low-rank adaptation (Liu et al. 2024, arXiv 2402.09353). */
export const dora: Dora = /* @__PURE__ */ Object.assign(
  (options?: DoraOptions): ConfiguredAdapter<DoraConfig> => ({
    adapter: doraAdapter,
    config: parseDoraConfig(options),
  }),
  { wrap: wrapDora, build: buildDora, delta: doraDelta, recommendedDefaults: recommendedLowRank },
);
