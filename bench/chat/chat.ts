/**
 * The demo's fine-tuning beside PyTorch with PEFT, as a user of each would run it: wall-clock until both have the same
 * validation loss. PEFT pads each batch to its longest example; lowrank puts examples behind each other.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBaseModel, readJsonLines, tokenizeRecords, type TrainedIds } from '@lowrank/models';
import { baseModels, type BaseModels } from '../peers/base-models.ts';
import { pytorch } from '../peers/pytorch/install.ts';
import { here } from '../process/once.ts';
import { program, Subject, type Start } from '../process/subject.ts';
import { medianRatio, print, summary, threadsText, type Figure } from '../report.ts';
import { commonLoss, secondsTo, type ChatAnswer, type ChatData, type ChatSettings } from './protocol.ts';

export interface ChatOptions {
  readonly model: string;
  readonly threads: readonly number[];
  /** Whole fine-tunings of each subject. */
  readonly rounds: number;
  readonly subjects: string;
  /** Only the first examples, one epoch: to see that it works. */
  readonly quick: boolean;
  readonly json: boolean;
}

/** Held-out examples that a loss is of: enough to compare curves, and few enough that evaluating them takes little of the time. */
const HELD = 16;
const peer = 'PyTorch + PEFT';
const name = 'café orders';

export async function chat(options: ChatOptions): Promise<void> {
  const models = await baseModels(options.model);
  const folder = await mkdtemp(join(tmpdir(), 'lowrank-chat-'));
  try {
    const data = join(folder, 'data.json');
    await writeFile(data, JSON.stringify(await ordersOf(models, options.quick)));
    for (const threads of options.threads) {
      print(await beside(settingsOf(data, threads, options), models, options), options.json);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

function settingsOf(data: string, threads: number, { quick }: ChatOptions): ChatSettings {
  const common = { data, threads, batchSize: 4, learningRate: 1e-3, rank: 8, alpha: 16, evalBatchSize: 8 };
  return { ...common, epochs: 1, evalEvery: quick ? 1 : 10 };
}

async function ordersOf(models: BaseModels, quick: boolean): Promise<ChatData> {
  await using base = await openBaseModel(models.quantized);
  const tokenizer = await base.tokenizer();
  const template = await base.chatTemplate(tokenizer);
  const read = async (file: string): Promise<ChatData['train']> => {
    const records = readJsonLines(here(import.meta.url, `../../examples/orders/${file}`));
    const { examples } = await tokenizeRecords(records, { tokenizer, ...(template === undefined ? {} : { template }) });
    return examples.map(({ ids, trained }: TrainedIds) => ({ ids: [...ids], trained: [...trained] }));
  };
  const [train, held] = [await read('train.jsonl'), await read('test.jsonl')];
  return quick ? { train: train.slice(0, 8), held: held.slice(0, 2) } : { train, held: held.slice(0, HELD) };
}

async function beside(settings: ChatSettings, models: BaseModels, options: ChatOptions): Promise<Figure[]> {
  const json = JSON.stringify(settings);
  const starts: [string, Start][] = [
    ['lowrank native', program(import.meta.url, 'worker.ts', [models.f32, json, 'native'])],
    [
      'lowrank native, base in its own blocks',
      program(import.meta.url, 'worker.ts', [models.quantized, json, 'native']),
    ],
    [peer, await pytorch('chat.py', [models.folder, json])],
  ];
  const chosen = starts.filter(([subject]) => subject.includes(options.subjects));
  const answers = new Map(chosen.map(([subject]) => [subject, [] as ChatAnswer[]]));
  for (let round = 0; round < options.rounds; round++) {
    for (const [subject, start] of chosen) {
      await using running = await Subject.start(subject, start);
      answers.get(subject)!.push((await running.ask({})) as ChatAnswer);
    }
  }
  return figures(answers, settings.threads);
}

function figures(answers: ReadonlyMap<string, readonly ChatAnswer[]>, threads: number): Figure[] {
  const loss = commonLoss([...answers.values()].flat().map(({ curve }) => curve));
  const times = (of: readonly ChatAnswer[]): number[] => of.map(({ curve }) => secondsTo(loss, curve)!);
  const bytes = (of: readonly ChatAnswer[]): number[] => of.map(({ peakBytes }) => peakBytes / 1e9);
  const peers = answers.get(peer);
  const target: Figure = {
    name: 'chat',
    case: `${name}, validation loss that all reach`,
    subject: 'all',
    value: loss,
    unit: '',
    ratio: null,
  };
  const measured = [...answers].flatMap(([subject, of]): Figure[] => {
    const common = { name: 'chat', subject: `${subject}, ${threadsText(threads)}` };
    const against = subject === peer ? undefined : peers;
    return [
      {
        ...common,
        case: `${name}, time to the same validation loss`,
        ...summary(times(of)),
        unit: 's',
        ratio: medianRatio(times(of), against && times(against)),
      },
      {
        ...common,
        case: `${name}, peak memory`,
        ...summary(bytes(of)),
        unit: 'GB',
        ratio: medianRatio(bytes(of), against && bytes(against)),
      },
    ];
  });
  return [target, ...measured];
}
