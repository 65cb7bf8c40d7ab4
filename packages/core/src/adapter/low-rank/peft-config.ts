import { AdapterError, type Site } from '../adapter.ts';
import { parseLowRankConfig, type LowRankConfig, type LowRankInit } from './config.ts';
import { doubledAlpha, doublesRank } from './on-original.ts';

/** What is written: adapters that replaced the base are written in a form that stands on the original, as if begun plainly. */
const initNames: Readonly<Record<LowRankInit, boolean | string>> = {
  kaiming: true,
  gaussian: 'gaussian',
  orthogonal: 'orthogonal',
  pissa: true,
  olora: true,
};

/** The keys of A and B after the module's path in PEFT's files. */
export function peftPairNames({ kind }: Site): { readonly A: string; readonly B: string } {
  return kind === 'embedding'
    ? { A: 'lora_embedding_A', B: 'lora_embedding_B' }
    : { A: 'lora_A.weight', B: 'lora_B.weight' };
}

/** PEFT's `adapter_config.json` for `peft_type: "LORA"`, to go with the tensors of `stateOnOriginal`. */
export function toPeftConfig(config: LowRankConfig): Record<string, unknown> {
  const twice = doublesRank(config);
  const rank = (own: number): number => (twice ? 2 * own : own);
  const alpha = (own: number): number => (twice ? doubledAlpha(config, own) : own);
  return {
    peft_type: 'LORA',
    r: rank(config.rank),
    lora_alpha: alpha(config.alpha),
    lora_dropout: config.dropout,
    use_rslora: config.useRslora,
    init_lora_weights: initNames[config.init],
    target_modules: config.targetModules,
    exclude_modules: orNull(config.excludeModules),
    rank_pattern: each(config.rankPattern, rank),
    alpha_pattern: each(config.alphaPattern, alpha),
    layers_to_transform: orNull(config.layersToTransform),
    layers_pattern: orNull(config.layersPattern),
    modules_to_save: orNull(config.modulesToSave),
    bias: config.bias,
    fan_in_fan_out: false,
    inference_mode: true,
    task_type: 'CAUSAL_LM',
  };
}

function each(table: Readonly<Record<string, number>>, change: (own: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(table).map(([key, own]) => [key, change(own)]));
}

/** PEFT has null for what is not asked for. */
function orNull<T extends { readonly length: number }>(list: T): T | null {
  return list.length === 0 ? null : list;
}

/**
 * The configuration in an `adapter_config.json`.
 * @param type the adapter's, for messages.
 * @throws AdapterError ADAPTER_UNSUPPORTED for what would give other numbers than plain LoRA (`use_dora` among it),
 * ADAPTER_CONFIG for keys that are not known and values that are wrong.
 */
export function fromPeftConfig(type: string, peft: Readonly<Record<string, unknown>>): LowRankConfig {
  for (const [key, value] of Object.entries(peft)) check(type, key, value);
  checkTying(type, peft);
  return parseLowRankConfig(type, {
    rank: peft['r'],
    alpha: peft['lora_alpha'],
    dropout: peft['lora_dropout'],
    useRslora: peft['use_rslora'],
    init: initOf(type, peft['init_lora_weights']),
    targetModules: peft['target_modules'] ?? undefined,
    excludeModules: peft['exclude_modules'] ?? undefined,
    rankPattern: peft['rank_pattern'] ?? undefined,
    alphaPattern: peft['alpha_pattern'] ?? undefined,
    layersToTransform: peft['layers_to_transform'] ?? undefined,
    // PEFT writes a pattern that its user gave without effect.
    layersPattern: isEmpty(peft['layers_to_transform'] ?? null) ? undefined : (peft['layers_pattern'] ?? undefined),
    modulesToSave: peft['modules_to_save'] ?? undefined,
    bias: peft['bias'],
  });
}

/** Read by `fromPeftConfig`. */
const read: ReadonlySet<string> = new Set([
  'r',
  'lora_alpha',
  'lora_dropout',
  'use_rslora',
  'init_lora_weights',
  'target_modules',
  'exclude_modules',
  'rank_pattern',
  'alpha_pattern',
  'layers_to_transform',
  'layers_pattern',
  'modules_to_save',
  'bias',
]);

/** Say where a folder comes from and change no number. */
const about: ReadonlySet<string> = new Set([
  'peft_type',
  'peft_version',
  'auto_mapping',
  'base_model_name_or_path',
  'revision',
  'task_type',
  'inference_mode',
  'megatron_core',
  'ensure_weight_tying',
  'runtime_config',
  'qalora_group_size',
]);

/** Off by these values (as well as by null, an empty list or an empty object); what they switch on is not plain LoRA. */
const off: Readonly<Record<string, unknown>> = {
  fan_in_fan_out: false,
  megatron_config: null,
  trainable_token_indices: null,
  loftq_config: null,
  eva_config: null,
  corda_config: null,
  lora_ga_config: null,
  use_dora: false,
  velora_config: null,
  alora_invocation_tokens: null,
  use_qalora: false,
  monteclora_config: null,
  layer_replication: null,
  lora_bias: false,
  target_parameters: null,
  use_bdlora: null,
  arrow_config: null,
  kasa_config: null,
};

function check(type: string, key: string, value: unknown): void {
  if (read.has(key) || about.has(key)) return;
  if (!Object.hasOwn(off, key)) {
    throw new AdapterError(
      'ADAPTER_CONFIG',
      `${type}: '${key}' in adapter_config.json is not an option of PEFT's LoRA that is known here; remove it if it does not matter`,
      { path: key, value },
    );
  }
  if (value !== off[key] && !isEmpty(value)) {
    throw new AdapterError(
      'ADAPTER_UNSUPPORTED',
      `${type}: adapter_config.json sets '${key}', which this adapter does not do; merge it with PEFT, or train without it`,
      { path: key, value },
    );
  }
}

/** Only says something where modules are trained whole. */
function checkTying(
  type: string,
  { ensure_weight_tying: tied, modules_to_save: saved }: Record<string, unknown>,
): void {
  if (tied === undefined || tied === false || tied === null || isEmpty(saved ?? null)) return;
  throw new AdapterError(
    'ADAPTER_UNSUPPORTED',
    `${type}: adapter_config.json sets 'ensure_weight_tying' for its modules_to_save; here each gets a copy of its own, so merge the adapter with PEFT`,
    { path: 'ensure_weight_tying', value: tied },
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

/**
 * Ways of starting that only decide where training began read as the default. PiSSA and OLoRA are done again on the base, as PEFT
 * does; those that cannot be done again with the same numbers are refused.
 */
function initOf(type: string, value: unknown): LowRankInit {
  if (value === undefined || typeof value === 'boolean') return 'kaiming';
  if (value === 'gaussian' || value === 'orthogonal' || value === 'pissa' || value === 'olora') return value;
  if (value === 'eva' || value === 'mica') return 'kaiming';
  throw new AdapterError(
    'ADAPTER_UNSUPPORTED',
    `${type}: init_lora_weights is ${JSON.stringify(value)}, which changes the base weights in a way that cannot be repeated exactly here; convert the adapter with PEFT first (path_initial_model_for_weight_conversion)`,
    {
      path: 'init_lora_weights',
      value,
    },
  );
}
