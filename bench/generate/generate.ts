/** Greedy generation beside llama.cpp, which reads the same file: time to the first token, and tokens a second after it. */
import { baseModels } from '../peers/base-models.ts';
import { program, Subject, type Start } from '../process/subject.ts';
import { medianRatio, print, summary, threadsText, type Figure } from '../report.ts';
import type { GenerateAnswer } from './protocol.ts';

export interface GenerateBenchOptions {
  readonly model: string;
  readonly threads: readonly number[];
  readonly rounds: number;
  readonly filter: string;
  readonly subjects: string;
  /** Lengths of prompts. */
  readonly prompts: readonly number[];
  /** New tokens. */
  readonly tokens: number;
  readonly json: boolean;
}

const peer = 'llama.cpp';

interface Runner {
  readonly subject: Subject;
  readonly answers: GenerateAnswer[];
}

export async function generate(options: GenerateBenchOptions): Promise<void> {
  const models = await baseModels(options.model);
  const files = [
    { file: models.quantized, form: 'as given' },
    { file: models.f32, form: 'f32' },
  ];
  for (const threads of options.threads) {
    for (const { file, form } of files) {
      const cases = options.prompts
        .map((length) => ({ length, name: `${form}, prompt of ${length}` }))
        .filter(({ name }) => name.includes(options.filter));
      if (cases.length > 0) await beside(file, cases, threads, options);
    }
  }
}

async function beside(
  file: string,
  cases: readonly { length: number; name: string }[],
  threads: number,
  { subjects, rounds, tokens, json }: GenerateBenchOptions,
): Promise<void> {
  const context = Math.max(...cases.map(({ length }) => length)) + tokens + 8;
  const starts: [string, Start][] = [
    ['lowrank native', program(import.meta.url, 'lowrank.ts', [file, 'native', `${threads}`])],
    ['lowrank WASM', program(import.meta.url, 'lowrank.ts', [file, 'wasm', `${threads}`])],
    [peer, program(import.meta.url, 'llama-cpp.ts', [file, `${threads}`, `${context}`])],
  ];
  await using running = new AsyncDisposableStack();
  const started: Subject[] = [];
  for (const [name, start] of starts.filter(([name]) => name.includes(subjects))) {
    const subject = await Subject.start(name, start);
    started.push(running.use(subject));
  }
  for (const { length, name } of cases) {
    const runners = started.map((subject): Runner => ({ subject, answers: [] }));
    // Any tokens; none twice in a row.
    const prompt = Array.from({ length }, (_, i) => 100 + ((7919 * i) % 20_000));
    for (let round = -1; round < rounds; round++) {
      for (const { subject, answers } of runners) {
        const answer = (await subject.ask({ prompt, tokens })) as GenerateAnswer;
        // The first one warms up.
        if (round >= 0) answers.push(answer);
      }
    }
    print(figures(name, length, threads, runners), json);
  }
}

type Measure = (answer: GenerateAnswer) => number;

function figures(name: string, length: number, threads: number, runners: readonly Runner[]): Figure[] {
  const measures: [string, string, Measure][] = [
    ['time to first token', 's', ({ firstSeconds }) => firstSeconds],
    ['prompt', 'tokens/s', ({ firstSeconds }) => length / firstSeconds],
    ['decode', 'tokens/s', ({ ids, restSeconds }) => (ids.length - 1) / restSeconds],
    ['peak memory', 'GB', ({ peakBytes }) => peakBytes / 1e9],
  ];
  const peers = runners.find(({ subject }) => subject.name === peer)?.answers;
  return runners.flatMap(({ subject, answers }) =>
    measures.map(([what, unit, measure]): Figure => {
      const values = answers.map(measure);
      const ratio = subject.name === peer ? null : medianRatio(values, peers?.map(measure));
      const common = {
        name: 'generate',
        case: `${name}, ${what}`,
        subject: `${subject.name}, ${threadsText(threads)}`,
      };
      return { ...common, ...summary(values), unit, ratio };
    }),
  );
}
