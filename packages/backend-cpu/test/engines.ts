import { BackendError } from '@lowrank/core';
import { cpu, type CpuBackend, type CpuOptions } from '@lowrank/backend-cpu';

/** Every engine and instruction set that may run here, fused first. */
export const engineOptions: readonly CpuOptions[] = [
  { engine: 'native', instructionSet: 'x86_64_v4' },
  { engine: 'native', instructionSet: 'x86_64_v3' },
  { engine: 'native', instructionSet: 'neon' },
  { engine: 'wasm' },
  { engine: 'wasm-baseline' },
];

/** The engines that run on this machine, with `threads` threads each. The caller disposes of them. */
export async function startEngines(threads: number): Promise<CpuBackend[]> {
  const backends: CpuBackend[] = [];
  for (const options of engineOptions) {
    try {
      backends.push(await cpu({ ...options, threads }));
    } catch (error) {
      if (!(error instanceof BackendError) || error.code !== 'BACKEND_NOT_AVAILABLE') throw error;
    }
  }
  return backends;
}

/** Numbers in [-2, 2), the same on every run: a 32-bit xorshift (Marsaglia 2003). */
export function numbers(length: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state | 0) / 2 ** 30;
  });
}

/** Bytes from the same generator, with bits cleared so that no float16 or bfloat16 read from them is infinite or NaN. */
export function finiteBytes(length: number, seed: number): Uint8Array {
  return Uint8Array.from(numbers(length, seed), (x) => Math.abs(x * 2 ** 24) & 0xbb);
}

/** Throws at the first element that is not the same number; NaN is the same as NaN, -0 not the same as 0. */
export function expectSameNumbers(actual: ArrayLike<number>, expected: ArrayLike<number>, label: string): void {
  if (actual.length !== expected.length) throw new Error(`${label}: ${actual.length} elements, not ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i], expected[i])) {
      throw new Error(`${label}: element ${i} of ${expected.length} is ${actual[i]}, not ${expected[i]}`);
    }
  }
}
