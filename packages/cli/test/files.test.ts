import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { fileSource, openGguf, readLoraGguf } from '@lowrank/io-gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonLines, lowrank, testFolder, type TestFolder } from './support/captured.ts';

const data = fileURLToPath(new URL('../../../examples/names/test.jsonl', import.meta.url));
const model = ['--model=names', '--threads=1'];

let folder: TestFolder;
beforeAll(async () => {
  folder = await testFolder();
  const { code, stderr } = await train('lora.gguf', '--rank=2', '--alpha=3', '--save-every=2');
  expect(code, stderr).toBe(0);
});
afterAll(() => folder[Symbol.asyncDispose]());

function train(output: string, ...more: string[]): ReturnType<typeof lowrank> {
  const settings = ['--steps=3', '--batch-size=4', '--learning-rate=0.01'];
  return lowrank('train', ...model, `--data=${data}`, `--output=${folder.file(output)}`, ...settings, ...more);
}

/** What a model says, greedily. */
async function answer(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lowrank(
    'generate',
    '--threads=1',
    '--raw',
    '--prompt=A:',
    '--max-tokens=12',
    ...args,
  );
  expect(code, stderr).toBe(0);
  return stdout;
}

async function ran(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lowrank(...args);
  expect(code, stderr).toBe(0);
  return stdout;
}

describe('lowrank convert', () => {
  it('makes a PEFT folder of a GGUF adapter and the same GGUF of that folder', async () => {
    const [gguf, peft, again] = ['lora.gguf', 'lora-folder', 'again.gguf'].map((name) => folder.file(name)) as [
      string,
      string,
      string,
    ];
    expect(await ran('convert', gguf, peft, '--model=names')).toMatch(
      /^wrote .*lora-folder \(lora on 28 modules, peft/,
    );
    expect((await readdir(peft)).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    const done = jsonLines(await ran('convert', peft, again, '--model=names', '--json', '--check-finite'));
    expect(done).toEqual([expect.objectContaining({ event: 'done', adapter: 'lora', target: 'gguf', modules: 28 })]);
    const [first, second] = [await readFile(gguf), await readFile(again)];
    expect(second.equals(first)).toBe(true);
    const adapted = (file: string): Promise<string> => answer('--model=names', `--adapter-file=${file}`);
    expect(await adapted(peft)).toBe(await adapted(gguf));
  });

  it('makes an adapter of a checkpoint', async () => {
    const checkpoint = `${folder.file('lora.gguf')}.run/checkpoint-3`;
    await ran('convert', checkpoint, folder.file('from-checkpoint.gguf'), '--model=names');
    expect((await readFile(folder.file('from-checkpoint.gguf'))).equals(await readFile(folder.file('lora.gguf')))).toBe(
      true,
    );
  });

  it('makes a folder of a model and a GGUF of that, which answer as it does', async () => {
    const [hf, gguf] = [folder.file('names'), folder.file('names.gguf')];
    await ran('convert', 'names', hf, '--type=keep');
    await ran('convert', hf, gguf, '--type=q8_0');
    const expected = await answer('--model=names');
    expect(await answer(`--model=${hf}`)).toBe(expected);
    expect(await answer(`--model=${gguf}`)).toBe(expected);
  });

  it('reads names of zerfoo layers from a file', async () => {
    await writeFile(folder.file('table.json'), '[]');
    const convert = (table: string): ReturnType<typeof lowrank> =>
      lowrank(
        'convert',
        folder.file('lora.gguf'),
        folder.file('x'),
        '--model=names',
        `--layer-names=${folder.file(table)}`,
      );
    for (const [table, says] of [
      ['table.json', /not a table of names/],
      ['none.json', /cannot be read/],
    ] as const) {
      const { code, stderr } = await convert(table);
      expect(code).toBe(2);
      expect(stderr).toMatch(says);
    }
  });

  it.each([
    ['a folder with other things in it', 'lora.gguf', '.', /other things/],
    ['what is neither adapter nor model', 'lora.gguf.run', 'x', /without a config\.json/],
    ['what is not there', 'nothing', 'x', /no file/],
  ])('refuses %s', async (_, from, to, says) => {
    const { code, stderr } = await lowrank('convert', folder.file(from), folder.file(to), '--model=names');
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(says) as string });
  });
});

describe('lowrank inspect', () => {
  it.each([
    ['a PEFT folder', 'lora-folder', 'PEFT adapter', { key: 'peft_type', value: 'LORA' }, /q_proj\.lora_A\.weight/],
    ['its weights', 'lora-folder/adapter_model.safetensors', 'safetensors', { key: 'format', value: 'pt' }, /lora_A/],
    [
      'a checkpoint',
      'lora.gguf.run/checkpoint-2',
      'checkpoint',
      { key: 'step', value: 2 },
      /^model\.layers\.0\.self_attn\.q_proj\.A$/,
    ],
    [
      'a model folder',
      'names',
      'Hugging Face model',
      { key: 'model_type', value: 'llama' },
      /^model\.embed_tokens\.weight$/,
    ],
    [
      'a GGUF adapter',
      'lora.gguf',
      'GGUF v3',
      { key: 'adapter.lora.alpha', value: 3 },
      /^blk\.0\.attn_q\.weight\.lora_a$/,
    ],
  ])('shows %s', async (_, path, kind, line, tensor) => {
    const events = jsonLines(await ran('inspect', folder.file(path), '--json'));
    expect(events[0]).toMatchObject({ event: 'file', path: folder.file(path), kind });
    expect(events).toContainEqual(expect.objectContaining({ event: 'metadata', ...line }));
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'tensor', name: expect.stringMatching(tensor) as string }),
    );
    expect(await ran('inspect', folder.file(path))).toContain(`: ${kind}, `);
  });

  it('refuses what it does not know', async () => {
    const { code, stderr } = await lowrank('inspect', folder.file(''));
    expect(code).toBe(2);
    expect(stderr).toMatch(/neither adapter_config\.json.*CLI_INPUT/);
  });
});

describe('lowrank merge', () => {
  it('merges several adapters with weights', async () => {
    const merge = async (out: string, ...adapters: string[]): Promise<string> => {
      await ran(
        'merge',
        ...model,
        `--output=${folder.file(out)}`,
        '--type=f32',
        ...adapters.map((adapter) => `--adapter-file=${adapter}`),
      );
      return answer(`--model=${folder.file(out)}`);
    };
    const file = folder.file('lora.gguf');
    const once = await answer('--model=names', `--adapter-file=${file}`);
    // One and a half of it less half of it is it.
    expect(await merge('parts.gguf', `${file}=1.5`, `${folder.file('lora-folder')}=-0.5`)).toBe(once);
    expect(await merge('folder', file)).toBe(once);
    expect(await readdir(folder.file('folder'))).toContain('model.safetensors');
    expect(await merge('none.gguf', `${file}=0`)).toBe(await answer('--model=names'));
  });

  it('refuses a weight that is none', async () => {
    const { code, stderr } = await lowrank('merge', ...model, '--output=x.gguf', '--adapter-file=lora.gguf=much');
    expect(code).toBe(2);
    expect(stderr).toMatch(/a path and a weight/);
  });
});

describe('lowrank train', () => {
  it('writes DoRA as a PEFT folder, which generate and train take', async () => {
    const { code, stdout, stderr } = await train('dora/', '--adapter=dora', '--rank=2', '--json');
    expect(code, stderr).toBe(0);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ event: 'done', output: 'peft' });
    const path = folder.file('dora');
    expect((await readdir(path)).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    expect((await readdir(`${path}.run/checkpoint-3`)).sort()).toContain('adapter');
    expect(await answer('--model=names', `--adapter-file=${path}`)).toBe(
      await answer('--model=names', `--adapter-file=${path}.run/checkpoint-3`),
    );
    const loss = (text: string) => jsonLines(text).find(({ event }) => event === 'step')!['loss'] as number;
    const first = loss(stdout);
    for (const [i, from] of [path, `${path}.run/checkpoint-3`].entries()) {
      const more = await train(`more${i}`, `--resume-adapter-file=${from}`, '--json');
      expect(more.code, more.stderr).toBe(0);
      expect(more.stderr).toMatch(/decides kind, rank/);
      expect(loss(more.stdout)).toBeLessThan(first);
    }
  });

  it('refuses a GGUF of DoRA before anything is trained, with the ways out', async () => {
    const { code, stdout, stderr } = await train('dora.gguf', '--adapter=dora', '--json');
    expect(code).toBe(2);
    expect(jsonLines(stdout).map(({ event }) => event)).toEqual(['error']);
    expect(stderr).toMatch(/cannot hold 'dora'.*without \.gguf for a PEFT folder, or --output-type merged/);
    expect(await readdir(folder.file(''))).not.toContain('dora.gguf.run');
  });

  it('writes the merged model when asked, and where there is nothing else to write', async () => {
    const dora = await train('merged.gguf', '--adapter=dora', '--output-type=merged', '--merged-type=f32');
    expect(dora.code, dora.stderr).toBe(0);
    expect(dora.stdout).toMatch(/^model {6}.*merged\.gguf/m);
    expect(await answer(`--model=${folder.file('merged.gguf')}`)).toBe(
      await answer('--model=names', `--adapter-file=${folder.file('merged.gguf')}.run/checkpoint-3`),
    );
    const head = await train('head', '--adapter=head-only', '--json');
    expect(head.code, head.stderr).toBe(0);
    expect(jsonLines(head.stdout).at(-1)).toMatchObject({ output: 'merged' });
    expect(await answer(`--model=${folder.file('head')}`)).toBeTypeOf('string');
    expect(await readdir(folder.file('head'))).toContain('config.json');
  });

  it('leaves an adapter that has no other form in the checkpoint, which generate takes', async () => {
    const plugin = fileURLToPath(new URL('../../../examples/third-party-adapter/houlsby.ts', import.meta.url));
    const { code, stdout, stderr } = await lowrank(
      'train',
      ...model,
      `--data=${data}`,
      `--output=${folder.file('houlsby')}`,
      '--steps=2',
      '--learning-rate=0.05',
      `--adapter=${plugin}`,
      '--json',
    );
    expect(code, stderr).toBe(0);
    const path = `${folder.file('houlsby')}.run/checkpoint-2`;
    expect(jsonLines(stdout).at(-1)).toMatchObject({ event: 'done', output: 'checkpoint', adapterPath: path });
    const evaluate = (...more: string[]): Promise<string> => ran('eval', ...model, `--data=${data}`, ...more);
    expect(await evaluate(`--adapter-file=${path}`, `--adapter=${plugin}`)).not.toBe(await evaluate());
    const without = await lowrank('eval', ...model, `--data=${data}`, `--adapter-file=${path}`);
    expect(without).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/the run trained 'houlsby'; known here/) as string,
    });
    const merged = await train('m.gguf', `--adapter=${plugin}`, '--output-type=merged');
    expect(merged).toMatchObject({ code: 2, stderr: expect.stringMatching(/cannot be merged/) as string });
  });

  it('starts a GGUF adapter from a PEFT folder', async () => {
    const { code, stderr } = await train('on.gguf', `--resume-adapter-file=${folder.file('lora-folder')}`);
    expect(code, stderr).toBe(0);
    await using file = await openGguf(await fileSource(folder.file('on.gguf')));
    expect(await readLoraGguf(file)).toMatchObject({ alpha: 3 });
  });
});
