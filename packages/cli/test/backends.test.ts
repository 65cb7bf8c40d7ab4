import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBackend } from '../src/backends.ts';
import { jsonLines, lowrank, testFolder, type TestFolder } from './support/captured.ts';

let folder: TestFolder;
beforeAll(async () => {
  folder = await testFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** A file that a third party could have written. */
async function plugin(name: string, source: string): Promise<string> {
  const path = folder.file(name);
  await writeFile(path, source);
  return path;
}

describe('lowrank backends', () => {
  it('tells the device and what is supported', async () => {
    const { code, stdout } = await lowrank('backends', 'cpu:wasm', '--json');
    expect(code).toBe(0);
    const [line] = jsonLines(stdout);
    expect(line).toMatchObject({ backend: 'cpu:wasm', available: true, supports: { precision: 'f32' } });
    expect(line!['device']).toMatch(/^wasm relaxed, \d+ threads?$/);
    expect(line!['fusedKernels']).toContain('attention');
  });

  it('tells what to install for what is not there, and goes on', async () => {
    const { code, stdout } = await lowrank('backends', '@nobody/has-this', 'cpu', '--json');
    expect(code).toBe(0);
    const [missing, cpu] = jsonLines(stdout);
    expect(missing).toMatchObject({ backend: '@nobody/has-this', available: false });
    expect(missing!['reason']).toContain('npm install @nobody/has-this');
    expect(cpu).toMatchObject({ backend: 'cpu', available: true });
  });
});

describe('--backend', () => {
  it('takes a file whose default export opens a backend, and hands it engine and threads', async () => {
    const path = await plugin(
      'mine.mjs',
      `export default async (options) => ({ name: JSON.stringify(options), interfaceVersion: 1, kernels: {}, supports: {} });`,
    );
    expect((await openBackend(path, 3)).name).toBe('{"threads":3}');
  });

  it.each<readonly [string, string, RegExp]>([
    ['no default export', 'export const cpu = 1;', /no default export that opens a backend/],
    ['a function that gives something else', 'export default async () => ({});', /is no backend/],
    [
      'a backend of another interface',
      `export default async () => ({ name: 'old', interfaceVersion: 0, kernels: {}, supports: {} });`,
      /'old' is made for interface version 0, this is 1/,
    ],
  ])('refuses %s', async (name, source, message) => {
    const path = await plugin(`${name.replaceAll(' ', '-')}.mjs`, source);
    await expect(openBackend(path)).rejects.toThrow(message);
  });

  it('opens less precise products where the device has them, and says where it has not', async () => {
    const said = await openBackend('webgpu:f16').then(
      async (backend) => {
        await backend.dispose();
        return backend.supports.productOperands;
      },
      (error: unknown) => (error as Error).message,
    );
    expect(said).toMatch(/^f16$|does not offer shader-f16$/);
    await expect(openBackend('webgpu:bf16')).rejects.toThrow('there are webgpu, webgpu:f16');
  });

  it('refuses a file that is not there and an engine that a backend does not have', async () => {
    await expect(openBackend('./nowhere.ts')).rejects.toThrow('there is no file ./nowhere.ts');
    await expect(openBackend('cpu:gpu')).rejects.toThrow("there is no backend 'cpu:gpu'; there are cpu, cpu:native");
  });
});
