/** What the kernels take of a training step, one by one. */
import { cpu } from '@lowrank/backend-cpu';
import { baseModels } from '../peers/base-models.ts';
import { print, threadsText, type Figure } from '../report.ts';
import { fineTuning } from './fine-tuning.ts';
import { timeKernels } from './timed-kernels.ts';
import { groups, sized, type Sizes } from './cases.ts';

export interface ProfileOptions extends Sizes {
  readonly model: string;
  readonly threads: readonly number[];
  readonly filter: string;
  readonly json: boolean;
}

/** Kinds below this share of the step are summed in one line. */
const SMALL_SHARE = 0.005;

export async function profile({ model, threads: counts, filter, json, ...sizes }: ProfileOptions): Promise<void> {
  const models = await baseModels(model);
  const trainees = groups
    .flatMap((group) => group.trainees)
    .filter(({ engine }) => engine === 'native')
    .map((trainee) => sized(trainee, sizes))
    .filter(({ name }) => name.includes(filter));
  for (const { name, base, shape } of trainees) {
    for (const threads of counts) {
      await using backend = await cpu({ engine: 'native', threads, productOperands: shape.bf16 ? 'bf16' : 'f32' });
      const path = base === 'quantized' ? models.quantized : models.f32;
      await using tuning = await fineTuning(backend, path, { ...shape, threads }, base);
      await tuning.train(1);
      const begin = performance.now();
      await tuning.train(1);
      const whole = (performance.now() - begin) / 1000;
      const times = timeKernels(backend);
      backend.resetPeak();
      await tuning.train(1);
      const kinds = [...times].toSorted(([, a], [, b]) => b.seconds - a.seconds);
      const total = kinds.reduce((sum, [, { seconds }]) => sum + seconds, 0);
      const common = { name: 'profile', subject: `lowrank native, ${threadsText(threads)}`, ratio: null };
      const figures: Figure[] = [
        { ...common, case: `${name}, a step`, value: whole, unit: 's' },
        {
          ...common,
          case: `${name}, kernels of a step, each waited for`,
          value: total,
          unit: 's',
        },
        { ...common, case: `${name}, most bytes live in a step`, value: backend.memory().peakBytes / 1e9, unit: 'GB' },
      ];
      let rest = { calls: 0, seconds: 0 };
      for (const [kind, { calls, seconds, bytes, operations }] of kinds) {
        if (seconds / total < SMALL_SHARE) {
          rest = { calls: rest.calls + calls, seconds: rest.seconds + seconds };
          continue;
        }
        const [speed, unit] = operations > 0 ? [operations, 'GFLOP/s'] : [bytes, 'GB/s'];
        const what = `${name}, ${kind}, ${calls} calls`;
        figures.push({ ...common, case: `${what}, share of the kernels`, value: (100 * seconds) / total, unit: '%' });
        figures.push({ ...common, case: what, value: speed / seconds / 1e9, unit });
      }
      figures.push({
        ...common,
        case: `${name}, all others, ${rest.calls} calls, share of the kernels`,
        value: (100 * rest.seconds) / total,
        unit: '%',
      });
      print(figures, json);
    }
  }
}
