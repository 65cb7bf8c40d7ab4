import { architectures } from '../architectures/architecture.ts';
import { checkSizes, type CausalLmConfig } from '../causal-lm/config.ts';
import { ModelsError } from '../models-error.ts';
import { isObject, type JsonObject } from './json-file.ts';
import { llama3Factors } from './llama3-rope.ts';

/** `model_type` of config.json to the row in the table of architectures. */
const modelTypes: ReadonlyMap<string, string> = new Map([
  ['llama', 'llama'],
  ['mistral', 'llama'],
]);

/**
 * Reads and checks a config.json.
 * @throws ModelsError MODELS_ARCHITECTURE for another kind of model, MODELS_METADATA for what is missing, cannot be, or would have
 * the model compute something else than is done here.
 */
export function configFromJson(json: JsonObject, where: string): CausalLmConfig {
  const type = json['model_type'];
  const name = modelTypes.get(String(type));
  if (name === undefined) {
    throw new ModelsError(
      'MODELS_ARCHITECTURE',
      `${where} has the model_type ${JSON.stringify(type) ?? 'missing'}; supported: ${[...modelTypes.keys()].join(', ')}`,
      { value: type },
    );
  }
  const fail = (key: string, why: string): never => {
    throw new ModelsError('MODELS_METADATA', `${where}: ${key} is ${show(json[key])}; ${why}`, { value: json[key] });
  };
  const size = (key: string, fallback?: number): number => {
    const value = json[key] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 2 ** 31) return value as number;
    return fail(key, 'a whole number of 1 or more is needed');
  };
  const real = (key: string): number => {
    const value = json[key];
    return typeof value === 'number' ? value : fail(key, 'a number is needed');
  };
  if ((json['hidden_act'] ?? 'silu') !== 'silu') fail('hidden_act', 'only silu is supported');
  const contextLength = size('max_position_embeddings');
  const window = json['sliding_window'] ?? undefined;
  if (typeof window === 'number' && window < contextLength) {
    fail('sliding_window', 'attention within a window is not supported');
  }
  if (json['quantization_config'] !== undefined) {
    fail('quantization_config', 'give the model unquantized, or as a GGUF');
  }
  const heads = size('num_attention_heads');
  const hiddenSize = size('hidden_size');
  const headSize = size('head_dim', hiddenSize / heads);
  const config: CausalLmConfig = {
    architecture: architectures.get(name)!,
    pairing: 'half',
    layers: size('num_hidden_layers'),
    hiddenSize,
    feedForwardSize: size('intermediate_size'),
    heads,
    kvHeads: size('num_key_value_heads', heads),
    headSize,
    vocabularySize: size('vocab_size'),
    contextLength,
    normEpsilon: real('rms_norm_eps'),
    ropeDimensions: headSize,
    ...ropeOf(json, headSize, where),
  };
  checkSizes(config, where);
  return config;
}

/** RoPE's numbers: transformers 5 has them together in `rope_parameters`, versions before in two places. */
function ropeOf(
  json: JsonObject,
  headSize: number,
  where: string,
): Pick<CausalLmConfig, 'ropeBase' | 'ropeScale' | 'ropeFactors'> {
  const own = json['rope_parameters'];
  const scaling = isObject(own) ? own : isObject(json['rope_scaling']) ? json['rope_scaling'] : {};
  const fail = (key: string): never => {
    throw new ModelsError(
      'MODELS_METADATA',
      `${where}: RoPE's ${key} is ${show(scaling[key])}; supported are the types default, linear and llama3 with all their numbers`,
      { value: scaling[key] },
    );
  };
  const number = (key: string): number => {
    const value = scaling[key];
    return typeof value === 'number' && value > 0 && value < Infinity ? value : fail(key);
  };
  const base = scaling['rope_theta'] ?? json['rope_theta'] ?? 10_000;
  if (typeof base !== 'number') return fail('rope_theta');
  const type = scaling['rope_type'] ?? scaling['type'] ?? 'default';
  if (type === 'default') return { ropeBase: base, ropeScale: 1 };
  if (type === 'linear') return { ropeBase: base, ropeScale: number('factor') };
  if (type !== 'llama3') return fail('rope_type' in scaling ? 'rope_type' : 'type');
  const ropeFactors = llama3Factors(headSize, base, {
    factor: number('factor'),
    lowFrequencyFactor: number('low_freq_factor'),
    highFrequencyFactor: number('high_freq_factor'),
    originalContext: number('original_max_position_embeddings'),
  });
  return { ropeBase: base, ropeScale: 1, ropeFactors };
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'missing';
}
