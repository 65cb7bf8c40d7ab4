import { cpu } from '@lowrank/backend-cpu';
import { Embedding, Linear, quantize4bit, type FrozenWeight, type HostArray } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { loadCausalLm, type CausalLm } from '../../src/causal-lm/index.ts';
import { tinyLlama } from '../support/tiny-llama.ts';

const quantize = { format: 'nf4', blockSize: 64 } as const;

async function weightsOf(model: CausalLm): Promise<Map<string, HostArray>> {
  const weights = new Map<string, HostArray>();
  for (const [path, module] of model.modules()) {
    if (module instanceof Linear || module instanceof Embedding) {
      weights.set(path, await (module.weight as FrozenWeight).host());
    }
  }
  return weights;
}

describe('a model loaded with `quantize`', () => {
  it('has its linear layers in 4 bits, and nothing else', async () => {
    const backend = await cpu({ engine: 'native', threads: 1 });
    const file = await tinyLlama({ tied: false });
    const [plain, model] = [await loadCausalLm(file, backend), await loadCausalLm(file, backend, { quantize })];
    const stored = await weightsOf(plain);
    for (const [path, weight] of await weightsOf(model)) {
      const before = stored.get(path)!;
      const linear = path.endsWith('proj');
      expect(weight, path).toEqual(linear ? quantize4bit(before.data as Float32Array, before.shape, quantize) : before);
    }
    await backend.dispose();
  });

  it('never had another form on the backend: the peak is what it takes', async () => {
    const backend = await cpu({ engine: 'native', threads: 1 });
    const file = await tinyLlama({ width: 64, feedForward: 256 });
    const model = await loadCausalLm(file, backend, { quantize });
    const { liveBytes, peakBytes } = backend.memory();
    expect(peakBytes).toBe(liveBytes);
    const stored = [...file.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength!, 0);
    expect(liveBytes).toBeLessThan(stored / 4);
    model.dispose();
    expect(backend.memory().liveStorages).toBe(0);
    await backend.dispose();
  });

  it('cannot be trainable, nor have weights that are not finite', async () => {
    const backend = await cpu({ engine: 'native', threads: 1 });
    const file = await tinyLlama();
    await expect(loadCausalLm(file, backend, { quantize, trainable: true })).rejects.toMatchObject({
      code: 'MODELS_ARGUMENT',
    });
    const broken = { format: 'f32', shape: [32, 48], data: new Float32Array(32 * 48).fill(Infinity, 5, 6) } as const;
    const wrong = await tinyLlama({ tensors: { 'blk.1.ffn_down.weight': broken } });
    await expect(loadCausalLm(wrong, backend, { quantize })).rejects.toMatchObject({
      code: 'MODELS_TENSOR',
      message: expect.stringMatching(/layers\.1\.mlp\.down_proj.*Element 5 is Infinity/) as string,
    });
    expect(backend.memory().liveStorages).toBe(0);
    await backend.dispose();
  });
});
