import {
  configError,
  finiteNumber,
  flag,
  layerNumbers,
  moduleNames,
  nameList,
  oneOf,
  patternTable,
  readConfig,
  wholeNumber,
} from '../config-fields.ts';
import { patternValue } from '../targets.ts';

/** How A and B start. */
export type LowRankInit = 'kaiming' | 'gaussian' | 'orthogonal' | 'pissa' | 'olora';

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
  /**
   * `'kaiming'` and `'gaussian'` start exactly at the base; `'orthogonal'` (even ranks), `'pissa'` and `'olora'` within float32
   * rounding of it. The last two replace the base while the adapter is on.
   */
  readonly init: LowRankInit;
  readonly targetModules: readonly string[] | string;
  readonly excludeModules: readonly string[] | string;
  /** Ranks of modules that have another, by name: a key is a regular expression that the path ends with; the first counts. */
  readonly rankPattern: Readonly<Record<string, number>>;
  /** Alphas of modules that have another, likewise. */
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Of the targets only those in these layers; empty: all. Not with a regular expression or `'all-linear'`, as in PEFT. */
  readonly layersToTransform: readonly number[];
  /** The list that layers are counted in: `['layers']`; empty: any. */
  readonly layersPattern: readonly string[];
  /** Modules trained whole beside the adapter: `['lm_head']`. */
  readonly modulesToSave: readonly string[];
  /** Biases trained beside the adapter; `'lora_only'`: those of the layers that it sits on. */
  readonly bias: 'none' | 'all' | 'lora_only';
}

/**
 * Options and their defaults: `rank` 8, `alpha` 8 (PEFT's, whatever the rank), `dropout` 0, `useRslora` false, `init` 'kaiming',
 * `targetModules` ['q_proj', 'v_proj'], `excludeModules` [], `rankPattern` and `alphaPattern` {}, `layersToTransform` and
 * `layersPattern` [] (all layers), `modulesToSave` [], `bias` 'none'.
 */
export type LowRankOptions = { readonly [K in keyof LowRankConfig]?: LowRankConfig[K] | undefined };

/** Options that choose among a model's modules, and say nothing where there is one layer. */
export type ModelOption =
  | 'targetModules'
  | 'excludeModules'
  | 'rankPattern'
  | 'alphaPattern'
  | 'layersToTransform'
  | 'layersPattern'
  | 'modulesToSave'
  | 'bias';

/** Largest rank: far above any use, and small enough that sizes stay safe integers. */
const maxRank = 65536;

const rank = wholeNumber(8, 1, maxRank);

// GGUF stores alpha as f32 and takes 0 for "no scaling": what would become 0 or infinite there is refused here.
const alpha = finiteNumber(
  8,
  'a finite number above 0',
  (value) => Math.fround(value) > 0 && Number.isFinite(Math.fround(value)),
);

/**
 * Rank and alpha to begin with: alpha at twice the rank, so that the scale is 2. The options' own defaults are PEFT's, whose
 * scale is 1.
 */
export const recommendedLowRank: { readonly rank: number; readonly alpha: number } = { rank: 8, alpha: 16 };

const fields = {
  rank,
  alpha,
  dropout: finiteNumber(0, 'a probability from 0 to below 1', (probability) => probability >= 0 && probability < 1),
  useRslora: flag(false),
  init: oneOf('kaiming', ['kaiming', 'gaussian', 'orthogonal', 'pissa', 'olora']),
  targetModules: moduleNames(['q_proj', 'v_proj'], 1),
  excludeModules: moduleNames([], 0),
  rankPattern: patternTable(rank),
  alphaPattern: patternTable(alpha),
  layersToTransform: layerNumbers(),
  layersPattern: nameList(),
  modulesToSave: nameList(),
  bias: oneOf('none', ['none', 'all', 'lora_only']),
};

/**
 * @param type the adapter's, for messages.
 * @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown.
 */
export function parseLowRankConfig(type: string, input: unknown): LowRankConfig {
  const config = readConfig(type, input, fields);
  if (config.init === 'orthogonal') {
    const odd = Object.entries(config.rankPattern).find(([, own]) => own % 2 !== 0);
    if (odd !== undefined) refuseOdd(type, `rankPattern[${JSON.stringify(odd[0])}]`, odd[1]);
    if (config.rank % 2 !== 0) refuseOdd(type, 'rank', config.rank);
  }
  if (config.layersToTransform.length > 0 && typeof config.targetModules === 'string') {
    throw configError(
      type,
      'layersToTransform',
      config.layersToTransform,
      `layersToTransform goes with a list of target modules only; name the layers in the regular expression instead of ${JSON.stringify(config.targetModules)}`,
    );
  }
  if (config.layersPattern.length > 0 && config.layersToTransform.length === 0) {
    throw configError(
      type,
      'layersPattern',
      config.layersPattern,
      'layersPattern says how layers are counted, but layersToTransform names none; give it, or leave both out',
    );
  }
  return config;
}

function refuseOdd(type: string, path: string, value: number): never {
  throw configError(type, path, value, `${path} is ${value}; init 'orthogonal' needs an even rank`);
}

/** What `lowRankAt` found before: asked in every pass of every layer. */
const resolved = new WeakMap<object, Map<string, LowRankConfig>>();

/** The configuration with the rank and alpha of the module at `path`. */
export function lowRankAt<C extends LowRankConfig>(config: C, path: string): C {
  const known = resolved.get(config) ?? new Map<string, LowRankConfig>();
  resolved.set(config, known);
  const found = known.get(path) ?? {
    ...config,
    rank: patternValue(config.rankPattern, path, config.rank),
    alpha: patternValue(config.alphaPattern, path, config.alpha),
  };
  known.set(path, found);
  return found as C;
}

/**
 * One configuration out of those of some sites, given by path: the first one's, whose rank and alpha the others differ from
 * by their patterns.
 * @throws AdapterError ADAPTER_CONFIG when they differ in anything else.
 */
export function joinLowRankConfigs<C extends LowRankConfig>(type: string, bySite: ReadonlyMap<string, C>): C {
  const [first] = bySite.values();
  if (first === undefined) throw configError(type, '', undefined, 'there is no configuration to join');
  const rankPattern: Record<string, number> = {};
  const alphaPattern: Record<string, number> = {};
  for (const [path, config] of bySite) {
    const other = Object.keys(first).find((key) => !own.has(key) && !same(first, config, key as keyof C));
    if (other !== undefined) {
      throw configError(type, other, config[other as keyof C], `'${other}' differs between ${path} and other modules`);
    }
    const key = path.replace(/[.]/g, '\\.');
    if (config.rank !== first.rank) rankPattern[key] = config.rank;
    if (config.alpha !== first.alpha) alphaPattern[key] = config.alpha;
  }
  return { ...first, targetModules: [...bySite.keys()], rankPattern, alphaPattern };
}

/** What sites may have of their own. */
const own: ReadonlySet<string> = new Set(['rank', 'alpha', 'rankPattern', 'alphaPattern', 'targetModules']);

function same<C>(one: C, other: C, key: keyof C): boolean {
  return JSON.stringify(one[key]) === JSON.stringify(other[key]);
}

/** What multiplies B A: alpha / rank, or alpha / sqrt(rank) for rsLoRA. */
export function lowRankScale(config: Pick<LowRankConfig, 'rank' | 'alpha' | 'useRslora'>): number {
  return config.alpha / (config.useRslora ? Math.sqrt(config.rank) : config.rank);
}
