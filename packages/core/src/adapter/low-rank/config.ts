import { configError, finiteNumber, flag, moduleNames, oneOf, readConfig, wholeNumber } from '../config-fields.ts';

/** How A and B start. */
export type LowRankInit = 'kaiming' | 'gaussian' | 'orthogonal';

/** What adapters whose change is a product of two thin matrices (LoRA, DoRA) are told, with every option resolved. */
export interface LowRankConfig {
  /** Rank r of the change B A, 1 to 65,536. */
  readonly rank: number;
  /** The change is scaled by alpha / rank; above 0. */
  readonly alpha: number;
  /** Probability, in [0, 1), of dropping an element of the adapter's input while training. Embeddings ignore it. */
  readonly dropout: number;
  /** Scale by alpha / sqrt(rank) instead (rsLoRA; Kalajdzievski 2023, arXiv 2312.03732). */
  readonly useRslora: boolean;
  /** `'kaiming'` and `'gaussian'` start exactly at the base; `'orthogonal'` (even ranks) within float32 rounding of it. */
  readonly init: LowRankInit;
  readonly targetModules: readonly string[] | string;
  readonly excludeModules: readonly string[] | string;
}

/**
 * Options and their defaults: `rank` 8, `alpha` 8 (PEFT's, whatever the rank), `dropout` 0, `useRslora` false, `init` 'kaiming',
 * `targetModules` ['q_proj', 'v_proj'], `excludeModules` [].
 */
export type LowRankOptions = { readonly [K in keyof LowRankConfig]?: LowRankConfig[K] | undefined };

/** Largest rank: far above any use, and small enough that sizes stay safe integers. */
const maxRank = 65536;

const fields = {
  rank: wholeNumber(8, 1, maxRank),
  // GGUF stores alpha as f32 and takes 0 for "no scaling": what would become 0 or infinite there is refused here.
  alpha: finiteNumber(
    8,
    'a finite number above 0',
    (alpha) => Math.fround(alpha) > 0 && Number.isFinite(Math.fround(alpha)),
  ),
  dropout: finiteNumber(0, 'a probability from 0 to below 1', (probability) => probability >= 0 && probability < 1),
  useRslora: flag(false),
  init: oneOf('kaiming', ['kaiming', 'gaussian', 'orthogonal']),
  targetModules: moduleNames(['q_proj', 'v_proj'], 1),
  excludeModules: moduleNames([], 0),
};

/**
 * @param type the adapter's, for messages.
 * @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown.
 */
export function parseLowRankConfig(type: string, input: unknown): LowRankConfig {
  const config = readConfig(type, input, fields);
  if (config.init === 'orthogonal' && config.rank % 2 !== 0) {
    throw configError(type, 'rank', config.rank, `rank is ${config.rank}; init 'orthogonal' needs an even rank`);
  }
  return config;
}

/** What multiplies B A: alpha / rank, or alpha / sqrt(rank) for rsLoRA. */
export function lowRankScale(config: Pick<LowRankConfig, 'rank' | 'alpha' | 'useRslora'>): number {
  return config.alpha / (config.useRslora ? Math.sqrt(config.rank) : config.rank);
}
