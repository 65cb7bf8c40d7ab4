/** A run killed at any moment and resumed ends with the same bytes as one left alone (docs/architecture.md, invariant 7). */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RandomStream } from '@lowrank/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from './support/cli.ts';
import { temporaryFolder, type TemporaryFolder } from './support/temporary-folder.ts';

const kills = 20;
/** A leg goes on for at most so many steps after its first. */
const stepsPerLeg = 6;
/** No leg, not the last either, comes to the end before it is killed. */
const steps = (kills + 1) * (stepsPerLeg + 3);
const saveEvery = 2;

const data = fileURLToPath(new URL('../examples/names/train.jsonl', import.meta.url));

/** Dropout, accumulation and a decaying rate: everything that a step depends on besides the weights. */
const settings = [
  '--model=names',
  `--data=${data}`,
  '--threads=1',
  `--steps=${steps}`,
  `--save-every=${saveEvery}`,
  '--batch-size=2',
  '--gradient-accumulation-steps=2',
  '--dropout=0.1',
  '--learning-rate=0.003',
  '--seed=3',
];

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** The files of a finished run: the adapter, and its last checkpoint's. */
async function filesOf(output: string): Promise<Map<string, Uint8Array>> {
  const last = join(`${output}.run`, `checkpoint-${steps}`);
  const files = new Map<string, Uint8Array>([['adapter', await readFile(output)]]);
  for (const name of await readdir(last)) files.set(name, await readFile(join(last, name)));
  return files;
}

async function hasCheckpoint(output: string): Promise<boolean> {
  const names = await readdir(`${output}.run`).catch(() => []);
  return names.some((name) => name.startsWith('checkpoint-'));
}

/** Trains until a random moment, then kills the process. Gives the last step that it told. */
async function killedLeg(output: string, random: RandomStream): Promise<number> {
  const steps = random.nextInteger(stepsPerLeg + 1);
  const milliseconds = random.nextInteger(40);
  let told = 0;
  let last = 0;
  const { signal, stderr } = await runCli(
    ['train', ...settings, '--output', output, '--json', ...((await hasCheckpoint(output)) ? ['--resume'] : [])],
    {
      onLine: (line, kill) => {
        const event = JSON.parse(line) as { event: string; step?: number };
        if (event.event === 'step') last = event.step!;
        const counts = event.event === 'start' || event.event === 'step';
        if (counts && told++ === steps) void setTimeout(milliseconds).then(kill);
      },
    },
  );
  expect(signal, stderr).toBe('SIGKILL');
  return last;
}

describe('training with the lowrank command', () => {
  it(`killed with SIGKILL at ${kills} random moments and resumed ends with the same bytes`, async () => {
    const [alone, killed] = [folder.file('alone.gguf'), folder.file('killed.gguf')];
    const whole = await runCli(['train', ...settings, '--output', alone]);
    expect(whole.code, whole.stderr).toBe(0);

    const random = new RandomStream(11, 'kills');
    const reached: number[] = [];
    for (let i = 0; i < kills; i++) reached.push(await killedLeg(killed, random));
    expect(Math.max(...reached)).toBeLessThan(steps);
    // Far more than one leg's steps: what earlier legs had saved was taken up.
    expect(Math.max(...reached)).toBeGreaterThan(3 * stepsPerLeg);
    expect(await readdir(`${killed}.run`)).not.toContain(`checkpoint-${steps}`);

    const rest = await runCli(['train', ...settings, '--output', killed, '--resume']);
    expect(rest.code, rest.stderr).toBe(0);
    const [expected, found] = [await filesOf(alone), await filesOf(killed)];
    expect([...found.keys()]).toEqual([...expected.keys()]);
    for (const [name, bytes] of expected) expect(Buffer.compare(found.get(name)!, bytes), name).toBe(0);
    // Nothing half-written stays.
    expect((await readdir(`${killed}.run`)).sort()).toEqual((await readdir(`${alone}.run`)).sort());
  }, 300_000);
});
