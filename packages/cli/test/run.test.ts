import { readdir, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { fileSource, openGguf, readLoraGguf } from '@lowrank/io-gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProgram } from '../src/program.ts';
import { version } from '../src/version.ts';
import { jsonLines, lowrank, testFolder, type TestFolder } from './support/captured.ts';

const data = fileURLToPath(new URL('../../../examples/names/test.jsonl', import.meta.url));
const model = ['--model=names', '--threads=1'];

let folder: TestFolder;
beforeAll(async () => {
  folder = await testFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** The arguments of a short training run. */
function training(output: string, ...more: string[]): string[] {
  const settings = ['--rank=2', '--steps=3', '--batch-size=4', '--learning-rate=0.01'];
  return ['train', ...model, `--data=${data}`, `--output=${folder.file(output)}`, ...settings, ...more];
}

describe('help', () => {
  it('names every command', async () => {
    const { code, stdout, stderr } = await lowrank('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of ['train', 'generate', 'eval', 'merge', 'inspect', 'models', 'backends']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });

  it.each(makeProgram().commands.map((command) => [command.name(), command] as const))(
    'of %s names its options',
    async (name, command) => {
      const { code, stdout, stderr } = await lowrank(name, '--help');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`Usage: lowrank ${name}`);
      for (const { long } of command.options) expect(stdout).toContain(long);
    },
  );

  it('has the options that PEFT and mlx-lm have', async () => {
    const { stdout } = await lowrank('train', '--help');
    const asked =
      '--model --data --valid-data --adapter --rank --alpha --dropout --target-modules --epochs --steps --batch-size ' +
      '--learning-rate --max-seq-length --gradient-accumulation-steps --gradient-checkpointing --eval-every --save-every ' +
      '--resume --seed --no-shuffle --resume-adapter-file --backend --output';
    for (const option of asked.split(' ')) expect(stdout).toMatch(new RegExp(`${option}\\b`));
  });

  it('tells the version', async () => {
    expect(await lowrank('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('wrong use ends with code 2, a word on stderr and nothing on stdout', () => {
  it.each<readonly [string, string[], RegExp]>([
    ['no command', [], /Usage: lowrank/],
    ['an unknown command', ['trian'], /unknown command 'trian'[^]*train/],
    ['an unknown option', ['eval', '--data=x', '--dat=x'], /unknown option '--dat=x'/],
    ['an option without its value', ['eval', '--data'], /argument missing/],
    ['a required option left out', ['eval'], /required option '-d, --data <path>' not specified/],
    ['no data to train on', ['train', '--output=x.gguf'], /--data is missing.*CLI_OPTION/],
    ['no output to train to', ['train', '--data=x.jsonl'], /--output is missing/],
    ['a choice that there is not', ['merge', '--output=x', '--type=q9'], /'q9' is invalid.*f32/],
    [
      'a number that is none',
      ['train', '--rank=many'],
      /'--rank <r>' argument 'many' is invalid. a whole number of 1 or more/,
    ],
    [
      'a backend that there is not',
      ['eval', ...model, `--data=${data}`, '--backend=gpu'],
      /the backend 'gpu' is not there.*npm install gpu.*CLI_BACKEND/,
    ],
    [
      'an adapter that there is not',
      ['train', '--data=x', '--output=x.gguf', '--adapter=dora9'],
      /no adapter 'dora9'.*CLI_ADAPTER/,
    ],
  ])('%s', async (_, args, says) => {
    const { code, stdout, stderr } = await lowrank(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(says);
    expect(stderr).not.toContain('    at ');
  });

  it('with --json, an error is an event on stdout too', async () => {
    const { code, stdout } = await lowrank('inspect', folder.file('missing.gguf'), '--json');
    expect(code).toBe(2);
    expect(jsonLines(stdout)).toEqual([
      { event: 'error', code: 'GGUF_NOT_FOUND', message: expect.stringContaining('missing.gguf') },
    ]);
  });
});

describe('a whole path: train, answer, evaluate, merge', () => {
  it('tells machines of each step, and writes an adapter that llama.cpp reads', async () => {
    const { code, stdout } = await lowrank(
      ...training('adapter.gguf', `--valid-data=${data}`, '--save-every=2', '--json'),
    );
    expect(code).toBe(0);
    const events = jsonLines(stdout);
    expect(events.map(({ event }) => event)).toEqual([
      'start',
      'step',
      'step',
      'checkpoint',
      'step',
      'eval',
      'checkpoint',
      'done',
    ]);
    expect(events[0]).toMatchObject({ backend: 'cpu', adapter: 'lora', trainExamples: 40, steps: 3, firstStep: 0 });
    const path = folder.file('adapter.gguf');
    expect(events.at(-1)).toMatchObject({ adapterPath: path, adapterBytes: (await stat(path)).size, steps: 3 });
    await using file = await openGguf(await fileSource(path));
    expect(await readLoraGguf(file)).toMatchObject({ architecture: 'llama', alpha: 16 });
    expect((await readdir(`${path}.run`)).sort()).toEqual(['checkpoint-2', 'checkpoint-3']);
    expect(await readdir(`${path}.run/checkpoint-3`)).toContain('adapter.gguf');
  });

  it('does not overwrite the checkpoints of an earlier run unasked', async () => {
    const { code, stderr } = await lowrank(...training('adapter.gguf'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/adapter\.gguf\.run holds checkpoints.*--resume.*--overwrite.*CLI_OUTPUT/);
    const kept = await readdir(folder.file('adapter.gguf.run'), { recursive: true });
    for (const wrong of ['--target-modules=nowhere', '--resume']) {
      expect((await lowrank(...training('adapter.gguf', '--overwrite', wrong))).code).toBe(2);
      expect(await readdir(folder.file('adapter.gguf.run'), { recursive: true })).toEqual(kept);
    }
    const again = await lowrank(...training('adapter.gguf', '--overwrite'));
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/^model {6}.*names\.gguf on cpu/m);
    expect(again.stdout).toMatch(/^step 3\/3 · loss/m);
    expect(again.stdout).toMatch(/lowrank generate -m names -a .*adapter\.gguf/);
  });

  it('answers a prompt, streamed', async () => {
    const prompt = ['generate', ...model, `--adapter-file=${folder.file('adapter.gguf')}`, '--prompt=J:', '--raw'];
    const plain = await lowrank(...prompt, '--max-tokens=12');
    expect({ code: plain.code, stderr: plain.stderr }).toEqual({ code: 0, stderr: '' });
    const { stdout } = await lowrank(...prompt, '--max-tokens=12', '--json');
    const events = jsonLines(stdout);
    const done = events.at(-1)!;
    expect(
      events
        .slice(0, -1)
        .map(({ event, text }) => (event === 'text' ? text : '?'))
        .join(''),
    ).toBe(done['text']);
    expect(plain.stdout).toBe(`${String(done['text'])}\n`);
    expect(done).toMatchObject({ event: 'done', promptTokens: 3 });
    expect(done['tokens']).toBeLessThanOrEqual(12);
  });

  it('evaluates: perplexity is exp(loss), and the adapter changes both', async () => {
    const evaluated = async (...more: string[]): Promise<Record<string, unknown>> => {
      const { code, stdout, stderr } = await lowrank('eval', ...model, `--data=${data}`, '--json', ...more);
      expect(code, stderr).toBe(0);
      const [done] = jsonLines(stdout);
      return done!;
    };
    const [base, adapted] = [await evaluated(), await evaluated(`--adapter-file=${folder.file('adapter.gguf')}`)];
    for (const { loss, perplexity } of [base, adapted]) {
      expect(perplexity).toBeCloseTo(Math.exp(loss as number), 10);
    }
    expect(base).toMatchObject({ event: 'done', examples: 40 });
    expect(adapted['loss']).toBeLessThan(base['loss'] as number);
    expect((await evaluated('--batch-size=3'))['loss']).toBeCloseTo(base['loss'] as number, 5);
  });

  it('merges into a file that answers as the adapter does, and inspects it', async () => {
    const path = folder.file('merged.gguf');
    const adapter = `--adapter-file=${folder.file('adapter.gguf')}`;
    const merged = await lowrank('merge', ...model, adapter, `--output=${path}`, '--type=f32', '--json');
    expect(jsonLines(merged.stdout)).toEqual([
      { event: 'done', output: path, bytes: (await stat(path)).size, type: 'f32' },
    ]);
    const greedy = (...args: string[]) =>
      lowrank('generate', '--threads=1', '--prompt=A:', '--raw', '--max-tokens=8', ...args);
    expect((await greedy(`--model=${path}`)).stdout).toBe((await greedy('--model=names', adapter)).stdout);
    const inspected = jsonLines((await lowrank('inspect', path, '--json')).stdout);
    expect(inspected[0]).toMatchObject({ event: 'file', path, version: 3 });
    expect(inspected).toContainEqual({ event: 'metadata', key: 'llama.block_count', type: 'u32', value: 4 });
    const tensors = inspected.filter(({ event }) => event === 'tensor');
    expect(tensors.map(({ type }) => type)).toEqual(tensors.map(() => 'f32'));
    const { stdout } = await lowrank('inspect', path, '--tensors');
    expect(stdout).toMatch(/general\.architecture = "llama"/);
    expect(stdout).toMatch(/^ {2}token_embd\.weight {2}\[\d+, 96\]/m);
  });

  it('goes on with the weights of an adapter file', async () => {
    const { code, stdout } = await lowrank(
      ...training('more.gguf', `--resume-adapter-file=${folder.file('adapter.gguf')}`, '--json'),
    );
    expect(code).toBe(0);
    const first = (await lowrank(...training('first.gguf', '--json'))).stdout;
    const loss = (text: string) => jsonLines(text).find(({ event }) => event === 'step')!['loss'] as number;
    expect(loss(stdout)).toBeLessThan(loss(first));
  });

  it('interrupted, it saves, ends with code 130, says how to go on, and goes on', async () => {
    const args = training('stopped.gguf', '--steps=40', '--json');
    const told = lowrank(...args);
    // What Ctrl-C does, once training has begun to listen for it.
    const listening = process.listenerCount('SIGINT');
    while (process.listenerCount('SIGINT') === listening) await new Promise((resolve) => setTimeout(resolve, 5));
    process.emit('SIGINT');
    const { code, stdout, stderr } = await told;
    expect(code).toBe(130);
    expect(stderr).toMatch(/stopped after step \d+ of 40; go on with the same options and --resume/);
    const stopped = jsonLines(stdout).at(-1)!;
    expect(stopped).toMatchObject({ event: 'stopped', steps: 40 });
    expect(await readdir(`${folder.file('stopped.gguf')}.run`)).toEqual([`checkpoint-${String(stopped['step'])}`]);
    const resumed = await lowrank(...args, '--resume');
    expect(resumed.code).toBe(0);
    expect(jsonLines(resumed.stdout)[0]).toMatchObject({ event: 'start', firstStep: stopped['step'] });
    expect(process.listenerCount('SIGINT')).toBe(listening);
  });

  it('takes its options from a YAML file', async () => {
    const lines = [
      'model: names',
      'threads: 1',
      `data: ${JSON.stringify(data)}`,
      `output: ${JSON.stringify(folder.file('yaml.gguf'))}`,
      'steps: 9',
      'rank: 3',
    ];
    await writeFile(folder.file('run.yaml'), lines.join('\n'));
    const { code, stdout } = await lowrank('train', `--config=${folder.file('run.yaml')}`, '--steps=1', '--json');
    expect(code).toBe(0);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ event: 'done', steps: 1 });
    await using file = await openGguf(await fileSource(folder.file('yaml.gguf')));
    expect((await readLoraGguf(file)).tensors[0]!.a.shape[0]).toBe(3);
  });
});

describe('lowrank models', () => {
  it('lists them, with the embedded one on this machine', async () => {
    const { code, stdout } = await lowrank('models', '--json');
    expect(code).toBe(0);
    const listed = jsonLines(stdout);
    expect(listed).toContainEqual(
      expect.objectContaining({ event: 'model', name: 'names', path: expect.stringContaining('names.gguf') as string }),
    );
    expect(listed.map(({ name }) => name)).toContain('smollm2-135m-instruct');
    expect((await lowrank('models', 'list')).stdout).toMatch(/^names {2}/m);
  });

  it('fetches nothing that is there', async () => {
    const { stdout } = await lowrank('models', 'fetch', 'names', '--json');
    expect(jsonLines(stdout)).toEqual([{ event: 'done', name: 'names', path: expect.stringContaining('names.gguf') }]);
  });
});
