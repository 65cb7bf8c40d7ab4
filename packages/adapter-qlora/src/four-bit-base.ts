import {
  AdapterError,
  CoreError,
  hostWeightOf,
  isFourBitFormat,
  quantize4bit,
  type HostArray,
  type HostWeight,
} from '@lowrank/core';
import type { Quantization } from './config.ts';

/**
 * A weight in 4 bits. One that is in nf4 or fp4 already stays as it is, whatever is asked for: rounding twice loses twice.
 * @param path of the layer, for errors.
 * @throws AdapterError ADAPTER_SITE when a number in it is not finite.
 */
export async function fourBitBase(original: HostWeight, how: Quantization, path: string): Promise<HostWeight> {
  if (isFourBitFormat(original.format)) return original;
  return hostWeightOf(quantized(await original.values(), original.shape, how, path));
}

export function quantized(
  values: Float32Array,
  shape: readonly [number, number],
  how: Quantization,
  path: string,
): HostArray {
  try {
    const { format, blockSize, doubleQuantization } = how;
    return quantize4bit(values, shape, { format, blockSize, doubleQuantization });
  } catch (error) {
    if (!(error instanceof CoreError) || error.code !== 'CORE_NOT_FINITE') throw error;
    throw new AdapterError('ADAPTER_SITE', `qlora: the weight of ${path}: ${error.message}`, {
      path,
      value: error.value,
    });
  }
}
