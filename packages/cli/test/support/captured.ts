import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { run } from '../../src/run.ts';

export interface Captured {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs work with what it writes to stdout and stderr caught. */
export async function capture<T>(work: () => Promise<T> | T): Promise<{ result: T; stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk: string | Uint8Array) => {
      texts[name] += typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk);
      return true;
    }),
  );
  try {
    const result = await work();
    return { result, ...texts };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** The command line in this process. */
export async function lowrank(...args: string[]): Promise<Captured> {
  const { result, stdout, stderr } = await capture(() => run(args));
  return { code: result, stdout, stderr };
}

/** Every line of stdout as JSON; throws where one is not. */
export function jsonLines(stdout: string): Record<string, unknown>[] {
  if (stdout !== '' && !stdout.endsWith('\n')) throw new Error('the last line has no end');
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export interface TestFolder extends AsyncDisposable {
  file(name: string): string;
}

/** A folder of its own, removed with all that is in it. */
export async function testFolder(): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), 'lowrank-cli-'));
  return {
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
