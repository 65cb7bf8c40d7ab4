import {
  AdapterError,
  flag,
  fourBitBlockSizes,
  oneOf,
  readConfig,
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

/** The configuration of the adapter inside, and how its base is stored. */
export type QloraConfig<Inner extends AdapterConfig = AdapterConfig> = Inner & { readonly quantization: Quantization };

const blockSizes: ConfigField<FourBitBlockSize> = {
  fallback: 64,
  read: (value, refuse) =>
    fourBitBlockSizes.find((size) => size === value) ?? refuse(`one of ${fourBitBlockSizes.join(', ')}`),
};

/**
 * @param path what `input` is called, for errors: `'quantization.'`.
 * @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown.
 */
export function parseQuantization(input: unknown, path = '', fallback?: Quantization): Quantization {
  try {
    return readConfig('qlora', input, {
      format: oneOf(fallback?.format ?? 'nf4', ['nf4', 'fp4']),
      blockSize: { ...blockSizes, fallback: fallback?.blockSize ?? 64 },
      doubleQuantization: flag(fallback?.doubleQuantization ?? true),
    });
  } catch (error) {
    if (!(error instanceof AdapterError) || path === '') throw error;
    const { code, message, value } = error;
    throw new AdapterError(code, message, { path: `${path}${error.path ?? ''}`, value });
  }
}
