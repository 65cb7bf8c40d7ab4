/** Time and memory until a first training step is done, from the start of the program: what a user waits for. */
import { baseModels } from '../peers/base-models.ts';
import { Subject } from '../process/subject.ts';
import { medianRatio, print, summary, threadsText, type Figure } from '../report.ts';
import { groups } from './cases.ts';
import { commandOf } from './command.ts';
import type { StepsAnswer } from './settings.ts';

export interface LoadOptions {
  readonly model: string;
  readonly threads: readonly number[];
  readonly subjects: string;
  readonly rounds: number;
  readonly json: boolean;
}

interface Sample {
  readonly readySeconds: number;
  readonly stepSeconds: number;
  readonly peakBytes: number;
}

/** One short sequence: the step is to cost little beside loading. */
const shape = { batch: 1, length: 32 };

export async function load({ model, threads: counts, subjects, rounds, json }: LoadOptions): Promise<void> {
  const models = await baseModels(model);
  const trainees = groups[0]!.trainees.filter(({ subject }) => subject.includes(subjects));
  for (const threads of counts) {
    const samples = trainees.map((): Sample[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, trainee] of trainees.entries()) {
        const command = await commandOf({ ...trainee, shape: { ...trainee.shape, ...shape } }, threads, models);
        const begin = performance.now();
        await using subject = await Subject.start(trainee.subject, command);
        const readySeconds = (performance.now() - begin) / 1000;
        const { peakBytes } = (await subject.ask({ steps: 1 })) as StepsAnswer;
        samples[i]!.push({ readySeconds, stepSeconds: (performance.now() - begin) / 1000, peakBytes });
      }
    }
    const peer = trainees.findIndex(({ engine }) => engine === undefined);
    const measures: [string, string, (sample: Sample) => number][] = [
      ['model and adapter ready', 's', ({ readySeconds }) => readySeconds],
      ['first step done', 's', ({ stepSeconds }) => stepSeconds],
      ['peak memory of the first step', 'GB', ({ peakBytes }) => peakBytes / 1e9],
    ];
    const figures = trainees.flatMap(({ subject, name, compared }, i) =>
      measures.map(([what, unit, measure]): Figure => {
        const values = samples[i]!.map(measure);
        const ratio = compared ? medianRatio(values, samples[peer]?.map(measure)) : null;
        const common = { name: 'load', case: `${name}, ${what}`, subject: `${subject}, ${threadsText(threads)}` };
        return { ...common, ...summary(values), unit, ratio };
      }),
    );
    print(figures, json);
  }
}
