import { countingBackend, reference } from '@lowrank/conformance';
import {
  AdamW,
  batchesOf,
  evaluateLoss,
  learningRateSchedule,
  scale,
  Sgd,
  shuffledOrder,
  stepsPerEpoch,
  Trainer,
  type Backend,
  type StepEvent,
  type TrainEvent,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { examples, memoryStore, smallModel, smallTrainer, valuesIn } from './support.ts';

const stepEvents = (events: readonly TrainEvent[]): StepEvent[] => events.filter((event) => event.type === 'step');

describe('training', () => {
  for (const { name, make } of bothWays) {
    test(`lowers the loss, and gives the same bits each time (${name})`, async () => {
      const runs: unknown[] = [];
      for (let run = 0; run < 2; run++) {
        const { trainer, params, loss } = smallTrainer(await make(), { steps: 60 });
        const data = batchesOf(examples, { batchSize: 4, seed: 0 });
        const before = await evaluateLoss(data, loss);
        await trainer.run();
        const after = await evaluateLoss(data, loss);
        expect(after.loss).toBeLessThan(before.loss / 2);
        runs.push([before, after, await valuesIn(params)]);
      }
      expect(runs[1]).toEqual(runs[0]);
    });

    test(`live bytes after 50 steps equal those after two (${name})`, async () => {
      const backend = await make();
      const live: number[] = [];
      const evalData = batchesOf(examples, { batchSize: 4, seed: 0, shuffle: false });
      const { trainer } = smallTrainer(backend, {
        steps: 50,
        accumulation: 2,
        maxGradNorm: 1,
        evalData,
        evalEvery: 10,
        onEvent: (event) => {
          if (event.type === 'step') live.push(backend.memory().liveBytes);
        },
      });
      const before = backend.memory().liveBytes;
      await trainer.run();
      expect(live).toHaveLength(50);
      // Told while the next step's loss and norm wait to be read; without a next one, only this one's are gone.
      const waiting = live[1]!;
      expect(new Set(live.filter((_, i) => i % 10 !== 9))).toEqual(new Set([waiting]));
      expect(live[9]).toBeLessThan(waiting);
      expect(backend.memory().liveBytes).toBe(before);
    });
  }

  test('tells each step once, in order, with what it was', async () => {
    const events: TrainEvent[] = [];
    let clock = 0;
    const { trainer } = smallTrainer(await reference(), {
      steps: 7,
      onEvent: (event) => {
        events.push(event);
        clock += 1000;
      },
      now: () => clock,
    });
    const result = await trainer.run();
    const steps = stepEvents(events);
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    // Six batches an epoch: the seventh step is the second epoch's first.
    expect(steps.map(({ epoch }) => epoch)).toEqual([0, 0, 0, 0, 0, 0, 1]);
    const schedule = learningRateSchedule({ kind: 'cosine', learningRate: 0.05, steps: 7, warmup: 2 });
    expect(steps.map(({ learningRate }) => learningRate)).toEqual([0, 1, 2, 3, 4, 5, 6].map((step) => schedule(step)));
    expect(steps.every(({ gradNorm }) => gradNorm === undefined)).toBe(true);
    expect(steps.reduce((total, { tokens }) => total + tokens, 0)).toBe(result.tokens);
    expect(steps.map(({ seconds }) => seconds)).toEqual([0, 1, 1, 1, 1, 1, 1]);
    expect(events.at(-1)).toEqual({ type: 'done', step: 7, reason: 'finished', tokens: result.tokens, seconds: 7 });
    expect(result).toMatchObject({ step: 7, reason: 'finished', loss: steps.at(-1)!.loss });
  });

  test('reads a loss only when the next step is enqueued', async () => {
    const backend = await reference();
    const order: string[] = [];
    const watched: Backend = {
      ...backend,
      read: async (storage) => {
        order.push('read');
        return backend.read(storage);
      },
    };
    const { params, loss } = smallModel(watched);
    const trainer = new Trainer({
      optimizer: new Sgd([{ params }], { learningRate: 0.1 }),
      schedule: () => 0.1,
      loss: (batch, pass) => {
        order.push('enqueue');
        return loss(batch, pass);
      },
      data: batchesOf(examples, { batchSize: 3, seed: 0 }),
      steps: 4,
    });
    await trainer.run();
    expect(order).toEqual(['enqueue', 'enqueue', 'read', 'enqueue', 'read', 'enqueue', 'read', 'read']);
  });

  test('clips by the norm that it tells', async () => {
    const { params, loss } = smallModel(await reference());
    const start = await valuesIn(params);
    let norm = 0;
    const trainer = new Trainer({
      optimizer: new Sgd([{ params }], { learningRate: 1 }),
      schedule: () => 1,
      loss,
      data: batchesOf(examples, { batchSize: 12, seed: 0 }),
      steps: 1,
      maxGradNorm: 1e-3,
      onEvent: (event) => {
        if (event.type === 'step') norm = event.gradNorm!;
      },
    });
    await trainer.run();
    const end = await valuesIn(params);
    const moved = Math.hypot(
      ...Object.keys(start).flatMap((key) => start[key]!.map((value, i) => value - end[key]![i]!)),
    );
    expect(norm).toBeGreaterThan(0.01);
    // With a learning rate of 1 the way is the clipped gradient; 1e-6 in the divisor makes it a little shorter.
    expect(moved).toBeCloseTo((1e-3 * norm) / (norm + 1e-6), 12);
  });

  test('accumulated batches of any size train as one: every token weighs the same', async () => {
    const ends: Record<string, number[]>[] = [];
    const tokens: number[] = [];
    for (const [batchSize, accumulation] of [
      [12, 1],
      [1, 12],
      [2, 6],
      [5, 3],
    ] as const) {
      const { params, loss } = smallModel(await reference(), 0);
      const trainer = new Trainer({
        optimizer: new AdamW([{ params }], { learningRate: 0.1 }),
        schedule: () => 0.1,
        loss,
        data: batchesOf(examples, { batchSize, seed: 0, shuffle: false }),
        steps: 3,
        accumulation,
        onEvent: (event) => {
          if (event.type === 'step') tokens.push(event.tokens);
        },
      });
      await trainer.run();
      ends.push(await valuesIn(params));
    }
    expect(new Set(tokens)).toEqual(new Set([11]));
    // Only the order of sums differs; AdamW divides by the gradient's size, so that relative errors of 1e-15 stay so.
    for (const end of ends.slice(1)) {
      for (const [key, values] of Object.entries(end)) {
        values.forEach((value, i) => expect(Math.abs(value - ends[0]![key]![i]!)).toBeLessThan(1e-9));
      }
    }
  });

  test('the last step of an epoch takes what batches remain', async () => {
    const seen: [number, number][] = [];
    const { data } = smallTrainer(await reference());
    const { trainer } = smallTrainer(await reference(), {
      data: {
        batchesPerEpoch: data.batchesPerEpoch,
        batch: (epoch, index) => {
          seen.push([epoch, index]);
          return data.batch(epoch, index);
        },
      },
      accumulation: 4,
      steps: 2 * stepsPerEpoch(6, 4),
    });
    await trainer.run();
    expect(seen).toEqual([0, 1].flatMap((epoch) => [0, 1, 2, 3, 4, 5].map((index) => [epoch, index])));
  });

  test('each micro-batch has a dropout mask of its own', async () => {
    const { params, loss } = smallModel(await reference());
    const passes: unknown[] = [];
    const trainer = new Trainer({
      optimizer: new Sgd([{ params }], { learningRate: 0.1 }),
      schedule: () => 0.1,
      loss: (batch, pass) => {
        passes.push(pass);
        return loss(batch, pass);
      },
      data: batchesOf(examples, { batchSize: 4, seed: 0 }),
      steps: 2,
      accumulation: 2,
      seed: 9,
    });
    await trainer.run();
    expect(passes).toEqual([0, 1, 2].map((step) => ({ training: true, seed: 9, step })));
  });
});

describe('evaluation', () => {
  test('is the mean loss per token of all batches, whatever their size, without dropout', async () => {
    const { loss } = smallModel(await reference());
    const [small, large] = await Promise.all(
      [2, 12].map(async (batchSize) => evaluateLoss(batchesOf(examples, { batchSize, seed: 0, shuffle: false }), loss)),
    );
    expect(small!.tokens).toBe(11);
    expect(Math.abs(small!.loss - large!.loss)).toBeLessThan(1e-14);
  });

  test('comes after each evalEvery steps and after the last, and changes nothing', async () => {
    const evalData = batchesOf(examples, { batchSize: 4, seed: 0 });
    const runs: Record<string, number[]>[] = [];
    const told: TrainEvent[] = [];
    for (const evalEvery of [undefined, 2]) {
      const { trainer, params } = smallTrainer(await reference(), {
        steps: 5,
        ...(evalEvery === undefined ? {} : { evalData, evalEvery }),
        onEvent: (event) => {
          if (evalEvery !== undefined) told.push(event);
        },
      });
      await trainer.run();
      runs.push(await valuesIn(params));
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(told.map((event) => `${event.type} ${event.step}`)).toEqual([
      'step 1',
      'step 2',
      'eval 2',
      'step 3',
      'step 4',
      'eval 4',
      'step 5',
      'eval 5',
      'done 5',
    ]);
    expect(told.filter((event) => event.type === 'eval').every(({ tokens }) => tokens === 11)).toBe(true);
  });

  test('records nothing and leaves nothing', async () => {
    const backend = await reference();
    const { loss } = smallModel(backend);
    const before = backend.memory().liveBytes;
    await evaluateLoss(batchesOf(examples, { batchSize: 3, seed: 0 }), (batch, pass) => {
      const result = loss(batch, pass);
      expect(result.sum.requiresGrad).toBe(false);
      return result;
    });
    expect(backend.memory().liveBytes).toBe(before);
  });

  test('of data without a trained token is refused', async () => {
    const { loss } = smallModel(await reference());
    await expect(evaluateLoss(batchesOf([[1, -1]] as const, { batchSize: 1, seed: 0 }), loss)).rejects.toThrow(
      expect.objectContaining({ code: 'CORE_ARGUMENT' }),
    );
  });
});

describe('what goes wrong', () => {
  test('a loss that is not finite ends the run, naming the step; nothing is saved after it', async () => {
    const backend = await reference();
    const { params, loss } = smallModel(backend, 0);
    const store = memoryStore();
    const before = backend.memory().liveBytes;
    const optimizer = new Sgd([{ params }], { learningRate: 0.1 });
    let calls = 0;
    const trainer = new Trainer({
      optimizer,
      schedule: () => 0.1,
      loss: (batch, pass) => {
        const { sum: total, count } = loss(batch, pass);
        calls++;
        return { sum: scale(total, calls === 3 ? NaN : 1), count };
      },
      data: batchesOf(examples, { batchSize: 3, seed: 0 }),
      steps: 10,
      store,
      saveEvery: 1,
    });
    await expect(trainer.run()).rejects.toThrow(
      expect.objectContaining({
        code: 'CORE_NOT_FINITE',
        message: expect.stringContaining('step 3') as string,
        value: NaN,
      }),
    );
    expect([...store.states.keys()]).toEqual(['checkpoint-1', 'checkpoint-2']);
    expect(backend.memory().liveBytes).toBe(before);
  });

  test('a gradient that is not finite ends it too, where gradients are clipped', async () => {
    const { params, loss } = smallModel(await reference(), 0);
    const trainer = new Trainer({
      optimizer: new Sgd([{ params }], { learningRate: 0.1 }),
      schedule: () => 0.1,
      loss: (batch, pass) => {
        const { sum: total, count } = loss(batch, pass);
        return { sum: scale(total, 1e200), count };
      },
      data: batchesOf(examples, { batchSize: 3, seed: 0 }),
      steps: 2,
      maxGradNorm: 1,
    });
    // Squares of gradients beyond 1e154 overflow.
    await expect(trainer.run()).rejects.toThrow(
      expect.objectContaining({
        code: 'CORE_NOT_FINITE',
        message: expect.stringContaining("gradient's norm") as string,
      }),
    );
  });

  test('an error in the loss leaves no memory behind', async () => {
    const backend = await reference();
    const { params, loss } = smallModel(backend);
    const before = backend.memory().liveBytes;
    let calls = 0;
    const trainer = new Trainer({
      optimizer: new Sgd([{ params }], { learningRate: 0.1, momentum: 0 }),
      schedule: () => 0.1,
      loss: (batch, pass) => {
        const result = loss(batch, pass);
        if (++calls === 4) throw new Error('out of luck');
        return result;
      },
      data: batchesOf(examples, { batchSize: 2, seed: 0 }),
      steps: 10,
      accumulation: 2,
    });
    await expect(trainer.run()).rejects.toThrow('out of luck');
    expect(backend.memory().liveBytes).toBe(before);
  });

  test('a step without a trained token is refused', async () => {
    const { params, loss } = smallModel(await reference());
    const data = batchesOf(
      [
        [1, -1],
        [2, -1],
      ] as const,
      { batchSize: 1, seed: 0 },
    );
    const trainer = new Trainer({
      optimizer: new Sgd([{ params }], { learningRate: 0.1 }),
      schedule: () => 0.1,
      loss,
      data,
      steps: 1,
      accumulation: 2,
    });
    await expect(trainer.run()).rejects.toThrow(/step 1: no token of batches 0 to 1 of epoch 0/);
  });

  test.each([
    ['steps', { steps: 0 }],
    ['accumulation', { accumulation: 0.5 }],
    ['seed', { seed: -1 }],
    ['evalEvery', { evalEvery: 0 }],
    ['saveEvery', { saveEvery: NaN }],
    ['data.batchesPerEpoch', { data: { batchesPerEpoch: 0, batch: () => [] } }],
  ])('a wrong %s is refused', async (name, options) => {
    const backend = await reference();
    expect(() => smallTrainer(backend, options)).toThrow(
      expect.objectContaining({ code: 'CORE_ARGUMENT', message: expect.stringContaining(name) as string }),
    );
  });
});

describe('batches', () => {
  test('each epoch goes through everything once, in an order that seed and epoch decide', async () => {
    const source = batchesOf(examples, { batchSize: 4, seed: 3 });
    expect(source.batchesPerEpoch).toBe(3);
    const epoch = async (number: number): Promise<unknown[]> =>
      (await Promise.all([0, 1, 2].map(async (index) => source.batch(number, index)))).flat();
    const [first, second] = [await epoch(0), await epoch(1)];
    expect(first).not.toEqual(second);
    expect(new Set(first)).toEqual(new Set(examples));
    expect(new Set(second)).toEqual(new Set(examples));
    // Going back gives what was there before.
    expect(await epoch(0)).toEqual(first);
  });

  test('unshuffled they come as given', () => {
    const source = batchesOf(['a', 'b', 'c'], { batchSize: 2, seed: 0, shuffle: false });
    expect([source.batch(0, 0), source.batch(0, 1)]).toEqual([['a', 'b'], ['c']]);
  });

  test('a shuffled order favours no place: first places are even over many epochs', () => {
    const count = 6;
    const epochs = 6000;
    const firsts = Array.from({ length: count }, () => 0);
    for (let epoch = 0; epoch < epochs; epoch++) firsts[shuffledOrder(count, { seed: 1, epoch })[0]!]!++;
    // Chi squared with 5 degrees of freedom exceeds 43 with probability 4e-8.
    expect(firsts.reduce((chi, seen) => chi + (seen - epochs / count) ** 2 / (epochs / count), 0)).toBeLessThan(43);
  });

  test('of nothing, or of no size, are refused', () => {
    expect(() => batchesOf([], { batchSize: 1, seed: 0 })).toThrow(/no data/);
    expect(() => batchesOf([1], { batchSize: 0, seed: 0 })).toThrow(/batchSize is 0/);
  });
});

test('frozen means free: training one layer makes no product and keeps no gradient for another', async () => {
  const backend = countingBackend(await reference());
  const { params, loss } = smallModel(backend, 0);
  for (const name of ['hidden', 'norm']) params.get(name)!.requiresGrad = false;
  const head = new Map([['head', params.get('head')!]]);
  const trainer = new Trainer({
    optimizer: new AdamW([{ params: head }], { learningRate: 0.1 }),
    schedule: () => 0.1,
    loss,
    data: batchesOf(examples, { batchSize: 12, seed: 0 }),
    steps: 1,
  });
  backend.resetCounts();
  await trainer.run();
  const { byKernel } = backend.counts();
  // hidden and head forward, head's gradient: not the one toward its input, for nothing below is trained.
  expect(byKernel.get('matmul')).toBe(3);
  for (const kernel of ['rmsNormBackward', 'rmsNormWeightBackward', 'scatterAdd'] as const) {
    expect(byKernel.get(kernel)).toBeUndefined();
  }
  expect(byKernel.get('adamw')).toBe(1);
});

test('clipping and the mean over the tokens are no pass over the gradients: one kernel for the norm, one for the step', async () => {
  const backend = countingBackend(await reference());
  const { params, loss } = smallModel(backend, 0);
  const counts = async (maxGradNorm: number | undefined): Promise<ReadonlyMap<string, number>> => {
    const trainer = new Trainer({
      optimizer: new AdamW([{ params }], { learningRate: 0.1 }),
      schedule: () => 0.1,
      loss,
      data: batchesOf(examples, { batchSize: 12, seed: 0 }),
      steps: 1,
      ...(maxGradNorm === undefined ? {} : { maxGradNorm }),
    });
    backend.resetCounts();
    await trainer.run();
    return backend.counts().byKernel;
  };
  const [without, clipped] = [await counts(undefined), await counts(1)];
  expect(params.size).toBeGreaterThan(1);
  expect([without.get('adamw'), clipped.get('adamw')]).toEqual([1, 1]);
  expect([without.get('sumOfSquares'), clipped.get('sumOfSquares')]).toEqual([undefined, 1]);
  // Of single numbers: the norm times 1 / tokens, plus 1e-6, the quotient, the minimum, times 1 / tokens.
  expect(clipped.get('binary')! - without.get('binary')!).toBe(5);
  expect(clipped.get('concat')).toBe(without.get('concat'));
});
