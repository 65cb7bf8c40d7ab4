import { elementary } from '@lowrank/core';

export interface Llama3Rope {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  /** Tokens that the model was first trained on. */
  readonly originalContext: number;
}

/**
 * Llama 3's divisors of RoPE's frequencies, one for each pair: 1 for short wavelengths, `factor` for long ones, and in between
 * a mixture whose weight goes linearly with the number of turns within the original context.
 */
export function llama3Factors(headSize: number, base: number, rope: Llama3Rope): Float32Array {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = rope;
  return Float32Array.from({ length: headSize / 2 }, (_, pair) => {
    const frequency = elementary.exp((-2 * pair * elementary.log(base)) / headSize);
    const turns = (originalContext * frequency) / (2 * Math.PI);
    if (turns > high) return 1;
    if (turns < low) return factor;
    const short = (turns - low) / (high - low);
    return 1 / ((1 - short) / factor + short);
  });
}
