import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostArray, RunState } from '@lowrank/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileRunStore } from '../../src/train/index.ts';
import { testFolder } from '../support/folder.ts';

const array = (...values: number[]): HostArray => ({
  format: 'f32',
  shape: [values.length],
  data: Float32Array.from(values),
});

function state(step: number, names: readonly string[] = ['model.layers.0.self_attn.q_proj.A']): RunState {
  return {
    manifest: {
      runStateVersion: 1,
      step,
      microBatches: 2 * step,
      tokens: 100 * step,
      seed: 7,
      cursor: { epoch: 1, index: 3 },
      optimizer: { kind: 'adamw', step, settings: { beta1: 0.9 } },
      configuration: { rank: 8, targets: ['q_proj'], nested: { a: null } },
      versions: { lowrank: '1.0.0' },
    },
    parameters: new Map(names.map((name, i) => [name, array(i, -0, NaN, 1e-45)])),
    moments: new Map(names.map((name, i) => [`m/${name}`, array(step, i)])),
  };
}

const error = (code: string, says: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(says) as string }) as Error;

describe('run states in files', () => {
  it('come back as they were, to the bit', async () => {
    await using folder = await testFolder();
    const store = new FileRunStore(folder.path);
    expect(await store.latest()).toBeUndefined();
    expect(await new FileRunStore(folder.file('nowhere')).latest()).toBeUndefined();
    await store.write('checkpoint-5', state(5));
    expect(await store.latest()).toBe('checkpoint-5');
    expect(await store.read('checkpoint-5')).toEqual(state(5));
  });

  it('hold tensors of any name, longer ones than a GGUF has too', async () => {
    await using folder = await testFolder();
    const store = new FileRunStore(folder.path);
    const anyNames = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }), {
      minLength: 1,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(anyNames, async (names) => {
        await store.write('checkpoint-1', state(1, names));
        expect(await store.read('checkpoint-1')).toEqual(state(1, names));
      }),
      { numRuns: 20, seed: 2 },
    );
  });

  it('are kept as many as asked for, the newest by step and not by name', async () => {
    await using folder = await testFolder();
    const store = new FileRunStore(folder.path, { keep: 3 });
    for (const step of [8, 9, 10, 100, 11]) await store.write(`checkpoint-${step}`, state(step));
    expect((await readdir(folder.path)).sort()).toEqual(['checkpoint-10', 'checkpoint-100', 'checkpoint-11']);
    expect(await store.latest()).toBe('checkpoint-100');
    const one = new FileRunStore(folder.path, { keep: 1 });
    await one.write('checkpoint-101', state(101));
    expect(await readdir(folder.path)).toEqual(['checkpoint-101']);
  });

  it.each([0, -1, 1.5, NaN])('cannot be kept %s', (keep) => {
    expect(() => new FileRunStore('runs', { keep })).toThrow(error('MODELS_ARGUMENT', /checkpoints cannot be kept/));
  });

  it('that were being written when the process died are neither read nor kept', async () => {
    await using folder = await testFolder();
    const store = new FileRunStore(folder.path);
    await store.write('checkpoint-1', state(1));
    await mkdir(folder.file('.checkpoint-2.tmp'));
    await writeFile(folder.file('.checkpoint-2.tmp/state.json'), '{');
    await mkdir(folder.file('checkpoint-x'));
    expect(await store.latest()).toBe('checkpoint-1');
    await store.write('checkpoint-3', state(3));
    // What is not a checkpoint stays.
    expect((await readdir(folder.path)).sort()).toEqual(['checkpoint-1', 'checkpoint-3', 'checkpoint-x']);
  });

  it('are written with all their files, or not at all', async () => {
    await using folder = await testFolder();
    let fails = false;
    const extras = async (path: string): Promise<void> => {
      await writeFile(join(path, 'adapter.gguf'), 'adapter');
      if (fails) throw new Error('the disk is full');
    };
    const store = new FileRunStore(folder.path, { extras });
    await store.write('checkpoint-1', state(1));
    expect(await readFile(folder.file('checkpoint-1/adapter.gguf'), 'utf8')).toBe('adapter');
    fails = true;
    await expect(store.write('checkpoint-2', state(2))).rejects.toEqual(
      error('MODELS_OUTPUT', /checkpoint-2 cannot be written: the disk is full/),
    );
    expect(await readdir(folder.path)).toEqual(['checkpoint-1']);
    expect(await store.read('checkpoint-1')).toEqual(state(1));
  });

  it('take the place of one of the same name', async () => {
    await using folder = await testFolder();
    const store = new FileRunStore(folder.path);
    await store.write('checkpoint-1', state(1, ['before']));
    await store.write('checkpoint-1', state(1, ['after']));
    expect([...(await store.read('checkpoint-1')).parameters.keys()]).toEqual(['after']);
  });

  it('cannot be written below a file', async () => {
    await using folder = await testFolder();
    await writeFile(folder.file('file'), '');
    const store = new FileRunStore(folder.file('file/run'));
    await expect(store.write('checkpoint-1', state(1))).rejects.toEqual(error('MODELS_OUTPUT', /file\/run/));
  });

  it.each<readonly [string, (folder: string) => Promise<void>, RegExp]>([
    ['without its manifest', (folder) => writeFile(join(folder, 'state.json'), ''), /state\.json/],
    ['with half a manifest', (folder) => truncate(join(folder, 'state.json'), 40), /state\.json/],
    [
      'of another version',
      (folder) => writeFile(join(folder, 'state.json'), '{"runStateVersion":2}'),
      /state\.json: .*version 2/,
    ],
    [
      'with a field that is no number',
      async (folder) => {
        const path = join(folder, 'state.json');
        await writeFile(path, (await readFile(path, 'utf8')).replace('"microBatches": 2', '"microBatches": "2"'));
      },
      /state\.json: .*microBatches/,
    ],
    ['with half of its parameters', (folder) => truncate(join(folder, 'parameters.gguf'), 100), /parameters\.gguf/],
    ['with an empty optimizer file', (folder) => truncate(join(folder, 'optimizer.gguf'), 0), /optimizer\.gguf/],
    [
      'with another file for its parameters',
      (folder) => writeFile(join(folder, 'parameters.gguf'), 'x'.repeat(500)),
      /parameters\.gguf/,
    ],
  ])('%s are refused by name', async (_, damage, says) => {
    await using folder = await testFolder();
    const store = new FileRunStore(folder.path);
    await store.write('checkpoint-1', state(1));
    await damage(folder.file('checkpoint-1'));
    await expect(store.read('checkpoint-1')).rejects.toEqual(error('MODELS_STATE', says));
  });

  it('that are not there are refused by name', async () => {
    await using folder = await testFolder();
    await expect(new FileRunStore(folder.path).read('checkpoint-9')).rejects.toEqual(
      error('MODELS_STATE', /checkpoint-9/),
    );
  });
});
