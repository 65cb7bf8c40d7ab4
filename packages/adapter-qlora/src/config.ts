import {
  AdapterError,
  flag,
  fourBitBlockSizes,
  oneOf,
  readConfig,
  wholeNumber,
  type AdapterConfig,
  type ConfigField,
  type FourBitBlockSize,
  type FourBitFormat,
} from '@lowrank/core';

/** How the base is stored, with every option resolved. */
export interface Quantization {
  readonly format: FourBitFormat;
  /** Weights that share a scale. */
  readonly blockSize: FourBitBlockSize;
  /** Whether the scales are quantized again, to 8 bits. */
  readonly doubleQuantization: boolean;
}

/** Options and their defaults: `format` 'nf4', `blockSize` 64, `doubleQuantization` true. */
export type QuantizationOptions = { readonly [K in keyof Quantization]?: Quantization[K] | undefined };

/** How the base is stored, and what the adapter starts with. */
export interface QloraQuantization extends Quantization {
  /**
   * `'adapter'`: as the adapter inside starts. `'loftq'`: A and B make up for what quantizing lost (Li et al. 2023, arXiv
   * 2310.08659); for linear layers and adapters that consist of A and B alone.
   */
  readonly init: 'adapter' | 'loftq';
  /** Rounds of LoftQ. With 1 the base is the one that any QLoRA has. */
  readonly loftqIterations: number;
}

/** Those of {@link QuantizationOptions}, and `init` 'adapter', `loftqIterations` 1. */
export type QloraQuantizationOptions = {
  readonly [K in keyof QloraQuantization]?: QloraQuantization[K] | undefined;
};

/** The configuration of the adapter inside, and how its base is stored. */
export type QloraConfig<Inner extends AdapterConfig = AdapterConfig> = Inner & {
  readonly quantization: QloraQuantization;
};

const stored = {
  format: oneOf('nf4', ['nf4', 'fp4']),
  blockSize: {
    fallback: 64,
    read: (value, refuse) =>
      fourBitBlockSizes.find((size) => size === value) ?? refuse(`one of ${fourBitBlockSizes.join(', ')}`),
  } satisfies ConfigField<FourBitBlockSize> as ConfigField<FourBitBlockSize>,
  doubleQuantization: flag(true),
};

const fields = { ...stored, init: oneOf('adapter', ['adapter', 'loftq']), loftqIterations: wholeNumber(1, 1, 100) };

/** @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown. */
export function parseQuantization(input: unknown): Quantization {
  return readConfig('qlora', input, stored);
}

/**
 * @param path what `input` is called, for errors: `'quantization.'`.
 * @param fallback what is not given.
 * @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown.
 */
export function parseQloraQuantization(input: unknown, path = '', fallback?: QloraQuantization): QloraQuantization {
  try {
    const given = readConfig('qlora', input, fields);
    return fallback === undefined ? given : { ...given, ...unlessGiven(input, fallback) };
  } catch (error) {
    if (!(error instanceof AdapterError) || path === '') throw error;
    const { code, message, value } = error;
    throw new AdapterError(code, message, { path: `${path}${error.path ?? ''}`, value });
  }
}

function unlessGiven(input: unknown, fallback: QloraQuantization): Partial<QloraQuantization> {
  const given = (input ?? {}) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(fallback).filter(([name]) => given[name] === undefined));
}
