import { CoreError } from '../errors/core-error.ts';
import { cosPi } from '../numerics/elementary.ts';

/** Learning rate of a step, counted from 0. The same bits on every engine. */
export type Schedule = (step: number) => number;

export interface ScheduleOptions {
  /** What it does after the warm-up: stays, or falls to the minimum at the last step on a line or half a cosine. */
  readonly kind: 'constant' | 'linear' | 'cosine';
  /** The highest. */
  readonly learningRate: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /**
   * Steps over which the rate rises on a line from 0 (step 0) to `learningRate`: a whole number, or a ratio of `steps`
   * (rounded up). Default 0.
   */
  readonly warmup?: number | { readonly ratio: number };
  /** Where linear and cosine end. Default 0. */
  readonly minLearningRate?: number;
}

/** Transformers' schedules: what step s of n with w of warm-up gets is rate * s / w, then by progress (s - w) / (n - w). */
export function learningRateSchedule(options: ScheduleOptions): Schedule {
  const { kind, learningRate, steps, minLearningRate = 0 } = options;
  demand(learningRate >= 0 && learningRate < Infinity, 'learningRate', learningRate, 'a number of 0 or more');
  demand(Number.isSafeInteger(steps) && steps >= 1, 'steps', steps, 'a whole number of 1 or more');
  demand(
    minLearningRate >= 0 && minLearningRate <= learningRate,
    'minLearningRate',
    minLearningRate,
    'a number between 0 and learningRate',
  );
  const warmup = warmupSteps(options);
  const remaining = (step: number): number => {
    const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
    switch (kind) {
      case 'constant':
        return 1;
      case 'linear':
        return 1 - progress;
      case 'cosine':
        return (1 + cosPi(progress)) / 2;
      default:
        throw new CoreError(
          'CORE_ARGUMENT',
          `schedule: '${String(kind)}' is unknown; there are constant, linear and cosine`,
          { value: kind },
        );
    }
  };
  remaining(0);
  return (step) =>
    step < warmup
      ? (learningRate * step) / warmup
      : minLearningRate + (learningRate - minLearningRate) * remaining(step);
}

function warmupSteps({ warmup = 0, steps }: ScheduleOptions): number {
  if (typeof warmup === 'number') {
    demand(Number.isSafeInteger(warmup) && warmup >= 0, 'warmup', warmup, 'a whole number of steps, or { ratio }');
    return warmup;
  }
  demand(warmup.ratio >= 0 && warmup.ratio <= 1, 'warmup.ratio', warmup.ratio, 'a number from 0 to 1');
  return Math.ceil(steps * warmup.ratio);
}

function demand(holds: boolean, name: string, value: unknown, need: string): void {
  if (!holds) {
    throw new CoreError('CORE_ARGUMENT', `schedule: ${name} is ${String(value)}; ${need} is needed`, { value });
  }
}
