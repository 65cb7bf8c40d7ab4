import { reference } from '@lowrank/conformance';
import { AdamW, parseRunManifest, Sgd, type RunManifest, type RunState } from '@lowrank/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStore, smallTrainer, valuesIn } from './support.ts';

const STEPS = 9;

/** Parameters and losses of a run that is stopped after each of `stops` and taken up by a fresh trainer. */
async function runWithStops(stops: readonly number[]): Promise<{ values: unknown; losses: number[]; tokens: number }> {
  const store = memoryStore();
  const losses: number[] = [];
  for (const stop of [...stops, STEPS]) {
    const signal = { aborted: false };
    const { trainer, params } = smallTrainer(await reference(), {
      steps: STEPS,
      accumulation: 2,
      maxGradNorm: 0.5,
      store,
      signal,
      configuration: { task: 'small' },
      onEvent: (event) => {
        if (event.type === 'step') losses.push(event.loss);
      },
      schedule: (step) => {
        // The signal comes while step `stop` is being enqueued.
        if (step + 1 === stop) signal.aborted = true;
        return 0.05 / (1 + step);
      },
    });
    const name = await store.latest();
    if (name !== undefined) trainer.restore(await store.read(name));
    const result = await trainer.run();
    expect(result.step).toBe(Math.max(stop, 1));
    expect(result.reason).toBe(stop < STEPS ? 'stopped' : 'finished');
    if (result.step === STEPS) return { values: await valuesIn(params), losses, tokens: result.tokens };
  }
  throw new Error('the run did not end');
}

describe('a stopped and resumed run', () => {
  test('ends with the same bits as one left alone, wherever it is stopped', async () => {
    const whole = await runWithStops([]);
    expect(whole.losses).toHaveLength(STEPS);
    for (let stop = 1; stop < STEPS; stop++) expect(await runWithStops([stop])).toEqual(whole);
    expect(await runWithStops(Array.from({ length: STEPS - 1 }, (_, i) => i + 1))).toEqual(whole);
  });

  test('goes on from any checkpoint that was saved on the way', async () => {
    const store = memoryStore();
    const whole = smallTrainer(await reference(), { steps: STEPS, store, saveEvery: 2 });
    await whole.trainer.run();
    const expected = await valuesIn(whole.params);
    expect([...store.states.keys()]).toEqual([2, 4, 6, 8, 9].map((step) => `checkpoint-${step}`));
    for (const name of store.states.keys()) {
      const { trainer, params } = smallTrainer(await reference(), { steps: STEPS });
      trainer.restore(await store.read(name));
      await trainer.run();
      expect(await valuesIn(params), name).toEqual(expected);
    }
  });

  test('a signal before the first step saves the start, and takes no step', async () => {
    const store = memoryStore();
    const { trainer } = smallTrainer(await reference(), { steps: 3, store, signal: { aborted: true } });
    expect(await trainer.run()).toMatchObject({ step: 0, reason: 'stopped', loss: undefined });
    expect([...store.states.keys()]).toEqual(['checkpoint-0']);
  });

  test('a finished run that is resumed is finished', async () => {
    const store = memoryStore();
    const first = smallTrainer(await reference(), { steps: 3, store });
    await first.trainer.run();
    const { trainer } = smallTrainer(await reference(), { steps: 3, store });
    trainer.restore(await store.read('checkpoint-3'));
    expect(await trainer.run()).toMatchObject({
      step: 3,
      reason: 'finished',
      tokens: (await store.read('checkpoint-3')).manifest.tokens,
    });
  });
});

describe('a checkpoint that does not fit is refused, and nothing is changed', () => {
  const saved = async (): Promise<RunState> => {
    const store = memoryStore();
    const { trainer } = smallTrainer(await reference(), {
      steps: 2,
      store,
      configuration: { rank: 8, targets: ['q', 'v'], steps: 2 },
    });
    await trainer.run();
    return store.read('checkpoint-2');
  };
  const fresh = async (): Promise<ReturnType<typeof smallTrainer>> =>
    smallTrainer(await reference(), {
      steps: 4,
      configuration: { rank: 8, targets: ['q', 'v'], steps: 4 },
      mayDiffer: ['steps'],
    });

  test('what JSON cannot hold makes no difference', async () => {
    const configuration = { limit: Infinity, zero: -0, absent: undefined as unknown as null };
    const store = memoryStore();
    await smallTrainer(await reference(), { steps: 1, store, configuration }).trainer.run();
    const { trainer } = smallTrainer(await reference(), { steps: 1, configuration });
    trainer.restore(await store.read('checkpoint-1'));
    expect(trainer.step).toBe(1);
  });

  test('fields that may differ may', async () => {
    const { trainer } = await fresh();
    trainer.restore(await saved());
    expect(trainer.step).toBe(2);
  });

  const changes: [string, (state: RunState) => RunState][] = [
    [
      'configuration.rank was 16',
      (state) => ({
        ...state,
        manifest: { ...state.manifest, configuration: { ...state.manifest.configuration, rank: 16 } },
      }),
    ],
    [
      'configuration.targets[1] was "k"',
      (state) => ({
        ...state,
        manifest: { ...state.manifest, configuration: { ...state.manifest.configuration, targets: ['q', 'k'] } },
      }),
    ],
    [
      'configuration.alpha was 3',
      (state) => ({
        ...state,
        manifest: { ...state.manifest, configuration: { ...state.manifest.configuration, alpha: 3 } },
      }),
    ],
    ['the seed was 6', (state) => ({ ...state, manifest: { ...state.manifest, seed: 6 } })],
    ['at batch 6', (state) => ({ ...state, manifest: { ...state.manifest, cursor: { epoch: 0, index: 6 } } })],
    [
      'no head',
      (state) => ({ ...state, parameters: new Map([...state.parameters].filter(([name]) => name !== 'head')) }),
    ],
    [
      'has extra',
      (state) => ({ ...state, parameters: new Map([...state.parameters, ['extra', state.parameters.get('head')!]]) }),
    ],
    [
      'norm has shape [1, 6]',
      (state) => ({
        ...state,
        parameters: new Map(state.parameters).set('norm', { ...state.parameters.get('norm')!, shape: [1, 6] }),
      }),
    ],
    [
      'no firstMoment/head',
      (state) => ({ ...state, moments: new Map([...state.moments].filter(([name]) => name !== 'firstMoment/head')) }),
    ],
  ];
  test.each(changes)('%s', async (message, change) => {
    const state = change(await saved());
    const { trainer, params, optimizer } = await fresh();
    const before = await valuesIn(params);
    expect(() => trainer.restore(state)).toThrow(
      expect.objectContaining({ code: 'CORE_STATE', message: expect.stringContaining(message) as string }),
    );
    expect(await valuesIn(params)).toEqual(before);
    expect(trainer.step).toBe(0);
    expect((await optimizer.state()).step).toBe(0);
  });

  test('another optimizer, or the same with other settings', async () => {
    const state = await saved();
    const backend = await reference();
    const { params } = smallTrainer(backend);
    const sgd = smallTrainer(backend, { optimizer: new Sgd([{ params }], { learningRate: 1 }) });
    expect(() => sgd.trainer.restore(state)).toThrow(/the optimizer was "adamw" .* is "sgd"/);
    const other = smallTrainer(backend, {
      optimizer: new AdamW([{ params }], { learningRate: 0.05, beta2: 0.99, weightDecay: 0.01 }),
    });
    expect(() => other.trainer.restore(state)).toThrow(/adamw's settings.beta2 was 0.999/);
  });
});

describe('a manifest', () => {
  const valid = async (): Promise<RunManifest> => {
    const store = memoryStore();
    const { trainer } = smallTrainer(await reference(), {
      steps: 1,
      store,
      versions: { core: '1.2.3' },
      configuration: { a: [1, { b: null }] },
    });
    await trainer.run();
    return (await store.read('checkpoint-1')).manifest;
  };

  test('goes through JSON unchanged', async () => {
    const manifest = await valid();
    expect(parseRunManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
    expect(manifest).toMatchObject({
      step: 1,
      microBatches: 1,
      cursor: { epoch: 0, index: 1 },
      versions: { core: '1.2.3' },
    });
  });

  test.each([
    ['runStateVersion', 2],
    ['step', -1],
    ['tokens', 0.5],
    ['microBatches', null],
    ['seed', '5'],
    ['cursor', { epoch: 0 }],
    ['optimizer', { kind: 'adamw', step: 1, settings: { beta1: '0.9' } }],
    ['configuration', []],
    ['versions', { core: 1 }],
  ])('with a wrong %s is refused, naming it', async (field, value) => {
    const input = { ...(await valid()), [field]: value };
    const name = field === 'runStateVersion' ? 'version 2' : field;
    expect(() => parseRunManifest(input)).toThrow(
      expect.objectContaining({ code: 'CORE_STATE', message: expect.stringContaining(name) as string }),
    );
  });

  test('anything else is refused with a CoreError', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        expect(() => parseRunManifest(input)).toThrow(
          expect.objectContaining({ name: 'CoreError', code: 'CORE_STATE' }),
        );
      }),
    );
  });
});
