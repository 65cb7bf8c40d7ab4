import { lora } from '@lowrank/adapter-lora';
import {
  backward,
  inject,
  readHost,
  writeHost,
  type HostArray,
  type InjectedAdapter,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { batchLoss, type CausalLm, type ForwardOptions } from '../../src/causal-lm/index.ts';
import { makeBatch, type Batch } from '../../src/data/index.ts';
import { open, openNames, stir } from '../support/open.ts';
import { crossEntropyOf, plainLogits } from '../support/plain-llama.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

/** An example whose tokens from `start` on are trained. */
function example(length: number, start: number, name: string, vocabulary = 40) {
  const trained = new Uint8Array(length).fill(1, start);
  return { ids: someTokens(length, vocabulary, name), trained };
}

async function lossOf(model: CausalLm, batch: Batch, options: ForwardOptions = {}): Promise<number> {
  const loss = batchLoss(model, batch, options);
  const value = await loss.item();
  loss.dispose();
  return value;
}

/** Gradients of the batch's loss, by parameter. */
async function gradientsOf(model: CausalLm, adapter: InjectedAdapter, batch: Batch, options: ForwardOptions = {}) {
  const loss = batchLoss(model, batch, options);
  backward(loss);
  loss.dispose();
  const gradients = new Map<string, HostArray['data']>();
  for (const [name, parameter] of adapter.parameters()) {
    gradients.set(name, await parameter.grad!.data());
    parameter.grad = undefined;
  }
  return gradients;
}

describe("a batch's loss", () => {
  it('is the cross-entropy of plain float64 loops, summed over the trained tokens alone', async () => {
    await using opened = await open(await tinyLlama(), 'reference');
    const examples = [example(12, 4, 'a'), example(7, 1, 'b'), example(9, 8, 'c')];
    let expected = 0;
    for (const { ids, trained } of examples) {
      const logits = await plainLogits(opened.file, ids);
      for (let i = 1; i < ids.length; i++) if (trained[i] === 1) expected += crossEntropyOf(logits[i - 1]!, ids[i]!);
    }
    // Sums of a few dozen terms of float64: as for the logits themselves.
    expect(Math.abs((await lossOf(opened.model, makeBatch(examples))) - expected)).toBeLessThan(1e-9);
  });

  it('does not depend on what untrained tokens at the end are', async () => {
    await using opened = await openNames();
    const first = { ids: Int32Array.of(3, 5, 7, 9, 11, 13), trained: Uint8Array.of(0, 1, 1, 0, 0, 0) };
    const other = { ...first, ids: Int32Array.of(3, 5, 7, 2, 4, 6) };
    expect(await lossOf(opened.model, makeBatch([first]))).toBe(await lossOf(opened.model, makeBatch([other])));
  });

  it('is 0, with gradients of 0, where nothing is trained', async () => {
    await using opened = await openNames();
    const adapter = await inject(opened.model, lora({ rank: 2 }));
    const batch = makeBatch([{ ids: Int32Array.of(1, 2, 3), trained: new Uint8Array(3) }]);
    const loss = batchLoss(opened.model, batch);
    expect(await loss.item()).toBe(0);
    loss.dispose();
    adapter.eject();
  });

  it('of more targets than go through the head at once is that of the examples one by one', async () => {
    await using opened = await open(await tinyLlama({ contextLength: 512 }), 'reference');
    const adapter = await inject(opened.model, lora({ rank: 2, targetModules: ['q_proj', 'lm_head'] }));
    await stir(adapter);
    const examples = Array.from({ length: 5 }, (_, i) => example(60, 1, `e${i}`));
    const batch = makeBatch(examples);
    expect(batch.targetCount).toBe(5 * 59); // two chunks, of at most 256
    const whole = await gradientsOf(opened.model, adapter, batch);
    let sum = 0;
    const summed = new Map(Array.from(whole, ([name, { length }]) => [name, new Float64Array(length)]));
    for (const one of examples) {
      sum += await lossOf(opened.model, makeBatch([one]));
      for (const [name, gradient] of await gradientsOf(opened.model, adapter, makeBatch([one]))) {
        gradient.forEach((value, i) => (summed.get(name)![i]! += value));
      }
    }
    // 295 terms in another order, in float64: relative to the terms' absolute sum at most 295 * 2^-53.
    expect(Math.abs((await lossOf(opened.model, batch)) - sum)).toBeLessThan(1e-10 * sum);
    for (const [name, gradient] of whole) {
      const largest = Math.max(...gradient.map(Math.abs));
      const worst = Math.max(...Array.from(gradient, (value, i) => Math.abs(value - summed.get(name)![i]!)));
      expect(largest).toBeGreaterThan(0);
      expect(worst, name).toBeLessThan(1e-10 * Math.max(1, largest));
    }
  });
});

describe("the loss's gradients", () => {
  it.each([
    ['below the head', ['q_proj', 'down_proj'], false],
    ['below the head, with checkpointing', ['q_proj', 'down_proj'], true],
    ['of an adapter on the output head', ['v_proj', 'lm_head'], false],
    ['of an adapter on the embedding', ['embed_tokens', 'o_proj'], true],
  ] as const)('%s are central differences of it', async (_, targetModules, gradientCheckpointing) => {
    await using opened = await open(await tinyLlama(), 'reference');
    const { model } = opened;
    const adapter = await inject(model, lora({ rank: 2, targetModules }));
    await stir(adapter);
    const batch = makeBatch([example(10, 2, 'a'), example(8, 5, 'b')]);
    const gradients = await gradientsOf(model, adapter, batch, { gradientCheckpointing });
    for (const [name, parameter] of adapter.parameters()) {
      for (const at of [0, Math.floor(parameter.size / 2), parameter.size - 1]) {
        const expected = await centralDifference(parameter, at, () => lossOf(model, batch));
        const bound = 1e-6 * Math.max(1, Math.abs(expected.slope));
        expect(Math.abs(gradients.get(name)![at]! - expected.slope), `${name}[${at}]`).toBeLessThan(bound);
      }
    }
  });

  it('are the same bits with checkpointing, which takes less memory', async () => {
    await using opened = await openNames();
    const { model, backend } = opened;
    const adapter = await inject(model, lora({ rank: 4, targetModules: 'all-linear', dropout: 0.2 }));
    await stir(adapter);
    const batch = makeBatch(Array.from({ length: 6 }, (_, i) => example(40, 3, `n${i}`, model.config.vocabularySize)));
    const pass = { training: true, seed: 4, step: 7 };
    await lossOf(model, batch); // The rotary tables stay from now on.
    const peaks: number[] = [];
    const runs = [];
    for (const gradientCheckpointing of [false, true]) {
      await backend.sync();
      backend.resetPeak();
      const before = backend.memory().liveBytes;
      runs.push(await gradientsOf(model, adapter, batch, { pass, gradientCheckpointing }));
      peaks.push(backend.memory().peakBytes - before);
      expect(backend.memory().liveBytes).toBe(before);
    }
    expect(runs[1]).toEqual(runs[0]);
    // Of four layers' intermediates one layer's are there at a time; the layers' inputs stay.
    expect(peaks[1]).toBeLessThan(peaks[0]! / 2);
  });

  it('are not disturbed by a longer sequence that makes the rotary tables grow before backward', async () => {
    const run = async (between: boolean): Promise<Map<string, HostArray['data']>> => {
      await using opened = await open(await tinyLlama({ contextLength: 1024 }), 'cpu');
      const { model } = opened;
      const adapter = await inject(model, lora({ rank: 2 }));
      await stir(adapter);
      const loss = batchLoss(model, makeBatch([example(9, 1, 'a')]), { gradientCheckpointing: true });
      if (between) await lossOf(model, makeBatch([example(700, 690, 'long')]));
      backward(loss);
      loss.dispose();
      const gradients = new Map<string, HostArray['data']>();
      for (const [name, { grad }] of adapter.parameters()) gradients.set(name, await grad!.data());
      return gradients;
    };
    expect(await run(true)).toEqual(await run(false));
  });
});

/**
 * The slope of f along one element, by central differences with Richardson's extrapolation. h = 2^-9: the error is h^4 / 480
 * times the fifth derivative, 3e-14 of it, and cancellation's 2^-53 f / h, 1e-12 for a loss of 100: far below the bound of
 * 1e-6 for any fifth derivative under 1e7.
 */
async function centralDifference(parameter: Tensor, at: number, f: () => Promise<number>): Promise<{ slope: number }> {
  const host = await readHost(parameter);
  const moved = async (step: number): Promise<number> => {
    const data = Float64Array.from(host.data);
    data[at]! += step;
    writeHost(parameter, { ...host, data }, 'moved');
    return f();
  };
  const difference = async (h: number): Promise<number> => ((await moved(h)) - (await moved(-h))) / (2 * h);
  const h = 2 ** -9;
  const [wide, narrow] = [await difference(h), await difference(h / 2)];
  writeHost(parameter, host, 'restored');
  return { slope: (4 * narrow - wide) / 3 };
}
