import type { RopeSpec } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { architectures, type Architecture } from '../architectures/architecture.ts';
import { ModelsError } from '../models-error.ts';

/** A causal language model's sizes, as its file's metadata give them. */
export interface CausalLmConfig {
  readonly architecture: Architecture;
  /** Which elements rotary embedding turns together, and so in which order the rows of q and k stand. */
  readonly pairing: RopeSpec['pairing'];
  readonly layers: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  readonly feedForwardSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly vocabularySize: number;
  /** Longest sequence the model was made for, in tokens. */
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly ropeBase: number;
  /** How many of a head's elements turn. */
  readonly ropeDimensions: number;
  /** Positions are divided by this (linear RoPE scaling). */
  readonly ropeScale: number;
  /** Llama 3's divisors of the frequencies, one for each pair that turns, where the configuration and not a tensor has them. */
  readonly ropeFactors?: Float32Array;
}

/**
 * Reads and checks the sizes.
 * @throws ModelsError MODELS_ARCHITECTURE for a file of another kind, MODELS_METADATA for sizes that cannot be;
 * GgufError for keys that are missing or of the wrong type.
 */
export function configFromGguf(file: GgufFile): CausalLmConfig {
  const { metadata } = file;
  const where = file.source.name;
  const kind = metadata.string('general.type', 'model');
  if (kind !== 'model') {
    throw new ModelsError(
      'MODELS_ARCHITECTURE',
      `${where} is a GGUF of type '${kind}', not a model; give the base model's file`,
      { value: kind },
    );
  }
  const name = metadata.string('general.architecture');
  const architecture = architectures.get(name);
  if (architecture === undefined) {
    throw new ModelsError(
      'MODELS_ARCHITECTURE',
      `${where} has the architecture '${name}'; supported: ${[...architectures.keys()].join(', ')}`,
      { value: name },
    );
  }
  const size = (key: string, fallback?: number): number => {
    const full = `${name}.${key}`;
    const value = fallback === undefined ? metadata.integer(full) : metadata.integer(full, fallback);
    if (value < 1 || value > 2 ** 31) {
      throw new ModelsError('MODELS_METADATA', `${where}: ${full} is ${value}, which no model has`, { value });
    }
    return value;
  };
  const heads = size('attention.head_count');
  const hiddenSize = size('embedding_length');
  const headSize = size('attention.key_length', hiddenSize / heads);
  const config: CausalLmConfig = {
    architecture,
    pairing: architecture.pairing,
    layers: size('block_count'),
    hiddenSize,
    feedForwardSize: size('feed_forward_length'),
    heads,
    kvHeads: size('attention.head_count_kv', heads),
    headSize,
    vocabularySize: file.tensors.get('token_embd.weight')?.shape[0] ?? 0,
    contextLength: size('context_length'),
    normEpsilon: metadata.number(`${name}.attention.layer_norm_rms_epsilon`),
    ropeBase: metadata.number(`${name}.rope.freq_base`, 10_000),
    ropeDimensions: size('rope.dimension_count', headSize),
    ropeScale: ropeScale(file, name),
  };
  checkSizes(config, where);
  return config;
}

function ropeScale(file: GgufFile, name: string): number {
  const type = file.metadata.string(`${name}.rope.scaling.type`, 'none');
  const factor = file.metadata.number(`${name}.rope.scaling.factor`, 1);
  if (type === 'none' || factor === 1) return 1;
  if (type === 'linear' && factor > 0) return factor;
  throw new ModelsError(
    'MODELS_METADATA',
    `${file.source.name} scales RoPE by '${type}' with factor ${factor}; 'linear' and Llama 3's rope_freqs are supported`,
    { value: type },
  );
}

/** @throws ModelsError MODELS_METADATA for sizes that cannot be. */
export function checkSizes(config: CausalLmConfig, where: string): void {
  const { heads, kvHeads, headSize, ropeDimensions, ropeBase, normEpsilon } = config;
  const wrong = !Number.isInteger(headSize)
    ? `the head size ${headSize} is not a whole number`
    : heads % kvHeads !== 0
      ? `${heads} heads do not share ${kvHeads} key-value heads evenly`
      : ropeDimensions % 2 !== 0 || ropeDimensions > headSize
        ? `RoPE turns ${ropeDimensions} of ${headSize} elements`
        : !(ropeBase > 0 && ropeBase < Infinity)
          ? `the RoPE base is ${ropeBase}`
          : !(normEpsilon >= 0 && normEpsilon < Infinity)
            ? `the norms' epsilon is ${normEpsilon}`
            : undefined;
  if (wrong !== undefined) {
    throw new ModelsError('MODELS_METADATA', `${where}: ${wrong}; the file's metadata are damaged or not supported`, {
      value: config,
    });
  }
}
