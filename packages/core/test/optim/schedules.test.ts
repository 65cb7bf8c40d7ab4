import { CoreError, learningRateSchedule, type ScheduleOptions } from '@lowrank/core';
import { describe, expect, test } from 'vitest';

const rates = (options: ScheduleOptions): number[] => {
  const schedule = learningRateSchedule(options);
  return Array.from({ length: options.steps }, (_, step) => schedule(step));
};

describe('a learning rate schedule', () => {
  test('constant stays', () => {
    expect(rates({ kind: 'constant', learningRate: 0.5, steps: 3 })).toEqual([0.5, 0.5, 0.5]);
  });

  test('warm-up rises from 0 in equal parts, over steps or a ratio of them rounded up', () => {
    const expected = [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1];
    expect(rates({ kind: 'constant', learningRate: 1, steps: 10, warmup: 4 })).toEqual(expected);
    expect(rates({ kind: 'constant', learningRate: 1, steps: 10, warmup: { ratio: 0.31 } })).toEqual(expected);
  });

  test('linear falls evenly to the minimum', () => {
    expect(rates({ kind: 'linear', learningRate: 1, steps: 6, warmup: 2 })).toEqual([0, 0.5, 1, 0.75, 0.5, 0.25]);
    expect(rates({ kind: 'linear', learningRate: 1, steps: 4, minLearningRate: 0.2 })).toEqual([
      1, 0.8, 0.6000000000000001, 0.4,
    ]);
  });

  test('cosine falls along half a wave', () => {
    const steps = 100;
    const found = rates({ kind: 'cosine', learningRate: 2e-4, steps, warmup: 10, minLearningRate: 1e-5 });
    for (let step = 10; step < steps; step++) {
      const expected = 1e-5 + (2e-4 - 1e-5) * 0.5 * (1 + Math.cos((Math.PI * (step - 10)) / (steps - 10)));
      expect(Math.abs(found[step]! - expected)).toBeLessThan(1e-18);
    }
    expect(found[55]).toBeCloseTo((2e-4 + 1e-5) / 2, 18);
  });

  test('after the last step the minimum stays', () => {
    for (const kind of ['linear', 'cosine'] as const) {
      const schedule = learningRateSchedule({ kind, learningRate: 1, steps: 5, minLearningRate: 0.1 });
      expect([schedule(5), schedule(50)]).toEqual([0.1, 0.1]);
    }
  });

  test('a warm-up of the whole run leaves nothing to fall', () => {
    expect(rates({ kind: 'cosine', learningRate: 1, steps: 4, warmup: 4 })).toEqual([0, 0.25, 0.5, 0.75]);
  });

  test.each([
    ['learningRate', { kind: 'constant', learningRate: -1, steps: 1 }],
    ['learningRate', { kind: 'constant', learningRate: NaN, steps: 1 }],
    ['steps', { kind: 'constant', learningRate: 1, steps: 0 }],
    ['warmup', { kind: 'constant', learningRate: 1, steps: 1, warmup: 0.5 }],
    ['warmup.ratio', { kind: 'constant', learningRate: 1, steps: 1, warmup: { ratio: 2 } }],
    ['minLearningRate', { kind: 'linear', learningRate: 1, steps: 1, minLearningRate: 2 }],
    ["'poly'", { kind: 'poly' as 'linear', learningRate: 1, steps: 1 }],
  ] as const)('refuses a wrong %s', (name, options) => {
    expect(() => learningRateSchedule(options)).toThrow(CoreError);
    expect(() => learningRateSchedule(options)).toThrow(name);
  });
});
