/** How time and memory of a step grow with what a user sets: each size in a process of its own, beside PyTorch with PEFT. */
import { baseModels, type BaseModels } from '../peers/base-models.ts';
import { Subject } from '../process/subject.ts';
import { median, print, threadsText, type Figure } from '../report.ts';
import type { Trainee } from '../training/cases.ts';
import { commandOf } from '../training/command.ts';
import type { StepsAnswer, TrainingSettings } from '../training/settings.ts';
import { exponent, quadraticTerm } from './fit.ts';

export interface GrowOptions {
  readonly model: string;
  readonly threads: readonly number[];
  readonly filter: string;
  readonly subjects: string;
  /** Measured steps of each size; one of the largest, whose steps are long. */
  readonly steps: number;
  /** The two smallest sizes only. */
  readonly quick: boolean;
  readonly json: boolean;
}

type Shape = Omit<TrainingSettings, 'threads'>;

interface Axis {
  readonly name: string;
  readonly sizes: readonly number[];
  shape(size: number): Shape;
  /** What PEFT has no like of. */
  readonly alone?: true;
}

const plain: Shape = {
  adapter: 'lora',
  rank: 8,
  alpha: 16,
  targets: 'all-linear',
  batch: 1,
  length: 128,
  checkpointing: false,
};

const axes: readonly Axis[] = [
  {
    name: 'sequence length, checkpointing',
    sizes: [128, 256, 512, 1024, 2048, 4096],
    shape: (length) => ({ ...plain, length, checkpointing: true }),
  },
  { name: 'sequence length', sizes: [128, 512, 1024], shape: (length) => ({ ...plain, length }) },
  { name: 'batch', sizes: [1, 2, 4, 8], shape: (batch) => ({ ...plain, batch }) },
  { name: 'rank', sizes: [4, 16, 64], shape: (rank) => ({ ...plain, rank, alpha: 2 * rank }) },
  { name: 'number of adapters', sizes: [1, 2, 4, 8], shape: (adapters) => ({ ...plain, adapters }), alone: true },
];

const quickSizes = 2;
/** Tokens of a step from which one is measured. */
const LONG = 1024;
const subjects: readonly Pick<Trainee, 'subject' | 'engine'>[] = [
  { subject: 'lowrank native', engine: 'native' },
  { subject: 'PyTorch + PEFT' },
];

interface Point {
  readonly size: number;
  readonly seconds: number;
  readonly bytes: number;
}

export async function grow(options: GrowOptions): Promise<void> {
  const models = await baseModels(options.model);
  const chosen = subjects.filter(({ subject }) => subject.includes(options.subjects));
  for (const axis of axes.filter(({ name }) => name.includes(options.filter))) {
    for (const threads of options.threads) await along(axis, chosen, threads, models, options);
  }
}

async function along(
  axis: Axis,
  chosen: typeof subjects,
  threads: number,
  models: BaseModels,
  { steps, quick, json }: GrowOptions,
): Promise<void> {
  const sizes = quick ? axis.sizes.slice(0, quickSizes) : axis.sizes;
  const points = new Map<string, Point[]>();
  for (const size of sizes) {
    for (const { subject, engine } of chosen) {
      if (axis.alone === true && engine === undefined) continue;
      const shape = quick ? { ...axis.shape(size), length: axis.shape(size).length / 8 } : axis.shape(size);
      const trainee: Trainee = {
        subject,
        base: 'f32',
        shape,
        name: axis.name,
        compared: false,
        ...(engine && { engine }),
      };
      const point = await measure(trainee, threads, models, shape.batch * shape.length >= LONG ? 1 : steps);
      points.set(subject, [...(points.get(subject) ?? []), { size, ...point }]);
    }
  }
  const peer = points.get(subjects[1]!.subject);
  for (const [subject, of] of points) {
    const common = { name: 'grow', subject: `${subject}, ${threadsText(threads)}` };
    print(figures(axis, common, of, of === peer ? undefined : peer), json);
  }
}

async function measure(
  trainee: Trainee,
  threads: number,
  models: BaseModels,
  steps: number,
): Promise<Omit<Point, 'size'>> {
  await using subject = await Subject.start(trainee.subject, await commandOf(trainee, threads, models));
  // A first step packs weights: in a fraction of a second, which counts beside short steps only.
  if (trainee.shape.batch * trainee.shape.length <= LONG) await subject.ask({ steps: 1 });
  const seconds: number[] = [];
  let bytes = 0;
  for (let i = 0; i < steps; i++) {
    const answer = (await subject.ask({ steps: 1 })) as StepsAnswer;
    seconds.push(answer.seconds);
    bytes = answer.peakBytes;
  }
  return { seconds: median(seconds), bytes };
}

function figures(
  { name }: Axis,
  common: Pick<Figure, 'name' | 'subject'>,
  points: readonly Point[],
  peer: readonly Point[] | undefined,
): Figure[] {
  const ratio = (index: number, of: (point: Point) => number): number | null =>
    peer === undefined ? null : of(points[index]!) / of(peer[index]!);
  const time = ({ seconds }: Point): number => seconds;
  const memory = ({ bytes }: Point): number => bytes / 1e9;
  const sized = points.flatMap((point, i): Figure[] => [
    { ...common, case: `${name} ${point.size}, step`, value: time(point), unit: 's', ratio: ratio(i, time) },
    {
      ...common,
      case: `${name} ${point.size}, peak memory`,
      value: memory(point),
      unit: 'GB',
      ratio: ratio(i, memory),
    },
  ]);
  const fitted = (of: (point: Point) => number): number | undefined =>
    exponent(points.map((point) => [point.size, of(point)]));
  const exponents: [string, number | undefined][] = [
    ['exponent of time', fitted(time)],
    ['exponent of memory', fitted(memory)],
  ];
  if (name.startsWith('sequence length')) {
    // Attention's own term grows with the square; the rest is what must be linear.
    const { b } = quadraticTerm(points.map((point) => [point.size, time(point)]));
    exponents.push([
      'exponent of time without the quadratic term',
      fitted((point) => Math.max(time(point) - b * point.size ** 2, Number.MIN_VALUE)),
    ]);
    const largest = points.at(-1)!;
    exponents.push(['part of the quadratic term at the largest', (b * largest.size ** 2) / largest.seconds]);
  }
  return [
    ...sized,
    ...exponents.flatMap(([what, value]): Figure[] =>
      value === undefined ? [] : [{ ...common, case: `${name}, ${what}`, value, unit: '', ratio: null }],
    ),
  ];
}
