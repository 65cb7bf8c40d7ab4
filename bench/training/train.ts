/**
 * Fine-tuning steps of a real model beside PyTorch with PEFT, on the same tokens: tokens a second and peak memory. Subjects
 * are loaded side by side and take a few steps each in turn.
 */
import { cpu } from '@lowrank/backend-cpu';
import { BackendError } from '@lowrank/core';
import { baseModels, type BaseModels } from '../peers/base-models.ts';
import { Subject } from '../process/subject.ts';
import { medianRatio, print, summary, threadsText, type Figure } from '../report.ts';
import { groups, sized, type Group, type Sizes, type Trainee } from './cases.ts';
import { commandOf } from './command.ts';
import type { StepsAnswer } from './settings.ts';

export interface TrainOptions extends Sizes {
  /** A name that `lowrank` knows, or a GGUF file. */
  readonly model: string;
  readonly threads: readonly number[];
  readonly filter: string;
  /** Only subjects whose name contains the text. */
  readonly subjects: string;
  /** Steps of a round. */
  readonly steps: number;
  readonly rounds: number;
  readonly json: boolean;
}

/** Subjects that compute the same loss differ by rounding: a relative 1e-3 is a hundred times of what f32 leaves here. */
const LOSS_TOLERANCE = 1e-3;
/** Operands rounded to bf16 are off by up to 2^-8, and what a sum of many of them is off by is less. */
const BF16_LOSS_TOLERANCE = 1e-2;

interface Runner {
  readonly trainee: Trainee;
  readonly subject: Subject;
  readonly seconds: number[];
  peakBytes: number;
  firstLoss: number;
}

export async function train(options: TrainOptions): Promise<void> {
  const models = await baseModels(options.model);
  const chosen = groups.map((group) => ofOptions(group, options)).filter(({ trainees }) => trainees.length > 0);
  for (const group of chosen) {
    const reason = await refusal(group);
    if (reason !== undefined) {
      console.error(`${group.name}: left out, ${reason}`);
      continue;
    }
    for (const threads of options.threads) print(await measure(group, threads, models, options), options.json);
  }
}

/** Why this machine cannot run the group. */
async function refusal({ trainees }: Group): Promise<string | undefined> {
  if (!trainees.some(({ shape }) => shape.bf16)) return undefined;
  try {
    await (await cpu({ productOperands: 'bf16', threads: 1 })).dispose();
    return undefined;
  } catch (error) {
    if (!(error instanceof BackendError) || error.code !== 'BACKEND_NOT_AVAILABLE') throw error;
    return error.message;
  }
}

function ofOptions({ name, trainees }: Group, { subjects, filter, ...sizes }: TrainOptions): Group {
  const all = trainees.map((trainee) => sized(trainee, sizes));
  const wanted = all.some((trainee) => trainee.name.includes(filter));
  return { name, trainees: wanted ? all.filter(({ subject }) => subject.includes(subjects)) : [] };
}

async function measure(
  { trainees }: Group,
  threads: number,
  models: BaseModels,
  { steps, rounds }: TrainOptions,
): Promise<Figure[]> {
  await using running = new AsyncDisposableStack();
  const runners: Runner[] = [];
  for (const trainee of trainees) {
    const start = await commandOf(trainee, threads, models);
    const subject = await Subject.start(trainee.subject, start);
    running.use(subject);
    // The first step packs weights and fills pools: it is not measured.
    const { losses, peakBytes } = (await subject.ask({ steps: 1 })) as StepsAnswer;
    runners.push({ trainee, subject, seconds: [], peakBytes, firstLoss: losses[0]! });
  }
  requireSameLoss(runners);
  for (let round = 0; round < rounds; round++) {
    for (const runner of runners) {
      const { seconds, peakBytes } = (await runner.subject.ask({ steps })) as StepsAnswer;
      runner.seconds.push(seconds / steps);
      runner.peakBytes = peakBytes;
    }
  }
  return figures(runners, threads);
}

function figures(runners: readonly Runner[], threads: number): Figure[] {
  const speeds = ({ trainee: { shape }, seconds }: Runner): number[] =>
    seconds.map((time) => (shape.batch * shape.length) / time);
  const peer = runners.find(({ trainee }) => trainee.engine === undefined);
  const result = runners.flatMap((runner): Figure[] => {
    const { name, subject, compared } = runner.trainee;
    const common = { name: 'train', case: name, subject: `${subject}, ${threadsText(threads)}` };
    const against = compared ? peer : undefined;
    return [
      {
        ...common,
        ...summary(speeds(runner)),
        unit: 'tokens/s',
        ratio: medianRatio(speeds(runner), against && speeds(against)),
      },
      {
        ...common,
        case: `${name}, peak memory`,
        value: runner.peakBytes / 1e9,
        unit: 'GB',
        ratio: against === undefined ? null : runner.peakBytes / against.peakBytes,
      },
    ];
  });
  return [...result, ...adapterCost(runners, threads)];
}

/** What DoRA adds to LoRA's time, where both ran side by side. */
function adapterCost(runners: readonly Runner[], threads: number): Figure[] {
  const native = runners.filter(({ trainee }) => trainee.engine === 'native');
  const dora = native.find(({ trainee }) => trainee.shape.adapter === 'dora');
  const lora = native.find(({ trainee }) => trainee.shape.adapter === 'lora');
  if (dora === undefined || lora === undefined) return [];
  const ratios = dora.seconds.map((seconds, round) => seconds / lora.seconds[round]!);
  const subject = `lowrank native, ${threadsText(threads)}`;
  return [{ name: 'train', case: 'time of DoRA by that of LoRA', subject, ...summary(ratios), unit: '', ratio: null }];
}

function requireSameLoss(runners: readonly Runner[]): void {
  const same = runners.filter(({ trainee }) => trainee.base === 'f32');
  const [first] = same;
  const tolerance = same.some(({ trainee }) => trainee.shape.bf16) ? BF16_LOSS_TOLERANCE : LOSS_TOLERANCE;
  for (const { firstLoss, trainee } of same) {
    if (Math.abs(firstLoss - first!.firstLoss) <= tolerance * Math.abs(first!.firstLoss)) continue;
    throw new Error(
      `${first!.trainee.subject} and ${trainee.subject} do not compute the same: their first losses are ${first!.firstLoss} and ${firstLoss}`,
    );
  }
}
