/** `npm run demo` on the small model that comes along: what it tells, and what it does where no other can be had. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileSource, openGguf, readLoraGguf } from '@lowrank/io-gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Outcome {
  readonly code: number | null;
  readonly lines: readonly Record<string, unknown>[];
  readonly stderr: string;
}

/** The demo as a process of its own, with `--json`. */
function demo(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Outcome> {
  const script = fileURLToPath(new URL('demo.ts', import.meta.url));
  const flags = ['--conditions=@lowrank/source', script, '--json', '--threads=1', ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, flags, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      const lines = stdout.split('\n').slice(0, -1);
      resolve({ code, stderr, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) });
    });
  });
}

/** An address that nobody listens at. */
async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

const number = expect.any(Number) as number;

/** The fields that machines are promised, and nothing else. */
const done = {
  event: 'done',
  model: 'names',
  backend: 'cpu',
  engine: expect.any(String) as string,
  trainExamples: 400,
  steps: 150,
  tokens: number,
  seconds: number,
  tokensPerSecond: number,
  lossBefore: number,
  lossAfter: number,
  exactMatchBefore: null,
  exactMatchAfter: null,
  trainableParameters: number,
  totalParameters: number,
  peakMemoryBytes: number,
  adapterPath: expect.stringMatching(/names\.gguf$/) as string,
  adapterBytes: number,
};

it.each([
  ['an unknown option', '--epoch=2', "'--epoch'"],
  ['no number of epochs', '--epochs=none', "not 'none'"],
  ['no number of threads', '--threads=0', 'threads'],
  ['a model that is not there', '--model=nowhere.gguf', 'nowhere.gguf'],
])('%s ends the demo with a word and code 2', async (_, argument, says) => {
  const { code, lines, stderr } = await demo([argument], process.env);
  expect({ code, lines }).toEqual({ code: 2, lines: [] });
  expect(stderr).toMatch(/^demo: .*\n$/);
  expect(stderr).toContain(says);
});

describe('the demo where no model can be had', () => {
  let empty: string;
  let outcome: Outcome;

  beforeAll(async () => {
    empty = await mkdtemp(join(tmpdir(), 'lowrank-demo-'));
    // An empty cache, a hub that nobody listens for, and no python on the path.
    const nowhere = await closedAddress();
    outcome = await demo([], {
      ...process.env,
      LOWRANK_CACHE: empty,
      HF_ENDPOINT: nowhere,
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      PATH: empty,
    });
  });
  afterAll(() => rm(empty, { recursive: true, force: true }));

  it('says why, and goes on with the small model', () => {
    const { code, stderr } = outcome;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Hugging Face hub/);
    expect(stderr).toMatch(/python3/);
    expect(stderr).toContain('this demo goes on with the small model that comes with the package');
  });

  it('ends with the line that machines read', () => {
    expect(outcome.lines.at(-1)).toEqual(done);
  });

  it('tells of every step, and of each answer before and after', () => {
    const count = (event: string) => outcome.lines.filter((line) => line['event'] === event).length;
    expect([count('step'), count('answer'), count('done')]).toEqual([150, 80, 1]);
  });

  it('learns: the loss on held-out lines falls, and most answers are three names with the letter', () => {
    const { lossBefore, lossAfter } = outcome.lines.at(-1) as { lossBefore: number; lossAfter: number };
    expect(lossAfter).toBeLessThan(0.8 * lossBefore);
    const right = (when: string): number =>
      outcome.lines.filter((line) => {
        const letter = String(line['prompt'])[0]!;
        const three = new RegExp(`^${letter}[a-z]+, ${letter}[a-z]+, ${letter}[a-z]+$`);
        return line['when'] === when && three.test(String(line['text']).trim());
      }).length;
    expect(right('before')).toBe(0);
    expect(right('after')).toBeGreaterThanOrEqual(30);
  });

  it('leaves an adapter that llama.cpp reads', async () => {
    const { adapterPath, adapterBytes } = outcome.lines.at(-1) as { adapterPath: string; adapterBytes: number };
    expect((await stat(adapterPath)).size).toBe(adapterBytes);
    await using file = await openGguf(await fileSource(adapterPath));
    const { architecture, alpha, tensors } = await readLoraGguf(file);
    expect({ architecture, alpha, tensors: tensors.length }).toEqual({
      architecture: 'llama',
      alpha: 16,
      tensors: 4 * 7,
    });
  });

  it('gives the same numbers when the small model is asked for by name', async () => {
    const { code, lines, stderr } = await demo(['--model=names'], process.env);
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('cannot be had');
    const { lossBefore, lossAfter } = outcome.lines.at(-1)!;
    expect(lines.at(-1)).toEqual({ ...done, lossBefore, lossAfter });
  });
});
