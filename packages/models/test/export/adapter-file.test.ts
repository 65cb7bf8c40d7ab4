import { readdir, readFile, writeFile } from 'node:fs/promises';
import { lora, loraAdapter, type LoraOptions } from '@lowrank/adapter-lora';
import { encodeArray, inject, type Adapter, type HostArray } from '@lowrank/core';
import { fileSource, openGguf, readLoraGguf, writeGguf, writeLoraGguf, type LoraPair } from '@lowrank/io-gguf';
import { describe, expect, it } from 'vitest';
import { checkExportable, loadAdapterGguf, writeAdapterGguf } from '../../src/export/index.ts';
import { testFolder } from '../support/folder.ts';
import { logitsOf, open, stir } from '../support/open.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

const plugin = loraAdapter as unknown as Adapter;
const tokens = someTokens(12);
const error = (code: string, says: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(says) as string }) as Error;
const random = (name: string, ...shape: number[]): HostArray => ({
  format: 'f32',
  shape,
  data: Float32Array.from(
    someTokens(
      shape.reduce((a, b) => a * b, 1),
      1000,
      name,
    ),
    (value) => value / 2000 - 0.25,
  ),
});
const pair = (base: string, rank: number, rows = 32, columns = 32): LoraPair => ({
  base,
  a: random(`${base} a`, rank, columns),
  b: random(`${base} b`, rows, rank),
});

describe('an adapter file', () => {
  it.each<readonly [string, LoraOptions, boolean]>([
    ['two linear layers', { rank: 4, alpha: 16, targetModules: ['q_proj', 'v_proj'] }, true],
    [
      'every linear layer but the tied head',
      { rank: 2, targetModules: 'all-linear', excludeModules: ['lm_head'] },
      true,
    ],
    ['a head of its own', { rank: 3, alpha: 6, targetModules: ['lm_head', 'down_proj'] }, false],
    ['an embedding beside a head of its own', { rank: 2, targetModules: ['embed_tokens', 'o_proj'] }, false],
  ])('of %s gives the same bits of logits when loaded', async (_, options, tied) => {
    await using folder = await testFolder();
    const path = folder.file('adapter.gguf');
    await using opened = await open(await tinyLlama({ tied }), 'cpu');
    const { model, backend } = opened;
    const base = await logitsOf(model, tokens);
    const adapter = await inject(model, lora(options));
    await stir(adapter);
    const live = await logitsOf(model, tokens);
    const sites = adapter.sites.map((site) => site.path);
    const bytes = await writeAdapterGguf(path, model, adapter);
    adapter.eject();
    expect(await logitsOf(model, tokens)).toEqual(base);

    await using file = await openGguf(await fileSource(path));
    expect(file.source.size).toBe(bytes);
    expect((await readLoraGguf(file)).tensors).toHaveLength(sites.length);
    const { liveBytes } = backend.memory();
    const loaded = await loadAdapterGguf(path, model, plugin);
    expect(loaded.sites.map((site) => site.path)).toEqual(sites);
    expect(await logitsOf(model, tokens)).toEqual(live);
    expect(live).not.toEqual(base);
    loaded.eject();
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });

  it('of rsLoRA gives the same logits, its scale in the one alpha of the file', async () => {
    await using folder = await testFolder();
    const path = folder.file('adapter.gguf');
    await using opened = await open(await tinyLlama(), 'reference');
    const { model } = opened;
    const adapter = await inject(model, lora({ rank: 5, alpha: 7, useRslora: true }));
    await stir(adapter);
    const live = await logitsOf(model, tokens);
    await writeAdapterGguf(path, model, adapter);
    adapter.eject();
    await loadAdapterGguf(path, model, plugin);
    const found = await logitsOf(model, tokens);
    // B or alpha is rounded to f32 once: 2^-24 of the adapter's part of a logit, which passes through two layers.
    const worst = Math.max(
      ...found.flatMap((row, i) => Array.from(row, (value, id) => Math.abs(value - live[i]![id]!))),
    );
    expect(worst).toBeLessThan(1e-5);
  });

  it.each(['f16', 'bf16', 'q8_0'] as const)('whose tensors are %s is read as what they decode to', async (format) => {
    await using folder = await testFolder();
    const { base, a, b } = pair('blk.0.attn_q.weight', 32);
    const stored = [a, b].map((array) => encodeArray(array.data as Float32Array, array.shape, format)) as [
      HostArray,
      HostArray,
    ];
    const write = (name: string, first: HostArray, second: HostArray) =>
      writeLoraGguf(folder.file(name), { architecture: 'llama', alpha: 8, tensors: [{ base, a: first, b: second }] });
    await write('stored.gguf', ...stored);
    await write('plain.gguf', a, b);
    await using opened = await open(await tinyLlama(), 'cpu');
    const { model } = opened;
    const logits: Float64Array[][] = [];
    for (const name of ['stored.gguf', 'plain.gguf']) {
      const adapter = await loadAdapterGguf(folder.file(name), model, plugin);
      logits.push(await logitsOf(model, tokens));
      adapter.eject();
    }
    const [found, plain] = logits.map((rows) => rows.flatMap((row) => [...row])) as [number[], number[]];
    const largest = Math.max(...plain.map(Math.abs));
    // Values below 1/4 are stored with at most 2^-8 of themselves lost (bf16; q8_0 loses at most 1/254 of a block's largest).
    const worst = Math.max(...found.map((value, i) => Math.abs(value - plain[i]!)));
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(0.05 * largest);
  });

  it.each<readonly [string, LoraPair[], string, string, RegExp]>([
    [
      'for another architecture',
      [pair('blk.0.attn_q.weight', 2)],
      'gpt2',
      'MODELS_ADAPTER',
      /architecture 'gpt2', the model is 'llama'/,
    ],
    [
      'of a wider model',
      [pair('blk.0.attn_q.weight', 2, 64, 64)],
      'llama',
      'MODELS_ADAPTER',
      /a weight \[64, 64\], the model's is \[32, 32\]/,
    ],
    [
      'of a deeper model',
      [pair('blk.2.attn_q.weight', 2)],
      'llama',
      'MODELS_ADAPTER',
      /blk\.2\.attn_q\.weight.*2 layers/,
    ],
    ['with a tensor of no module', [pair('blk.0.attn_z.weight', 2)], 'llama', 'MODELS_ADAPTER', /blk\.0\.attn_z/],
    ['with a pair for no weight', [pair('blk.0.attn_q', 2)], 'llama', 'MODELS_ADAPTER', /adapts blk\.0\.attn_q,/],
  ])('%s is refused, and the model stays as it was', async (_, tensors, architecture, code, says) => {
    await using folder = await testFolder();
    const path = folder.file('wrong.gguf');
    await writeLoraGguf(path, { architecture, alpha: 4, tensors });
    await using opened = await open(await tinyLlama(), 'cpu');
    const before = await logitsOf(opened.model, tokens);
    const { liveBytes } = opened.backend.memory();
    await expect(loadAdapterGguf(path, opened.model, plugin)).rejects.toEqual(error(code, says));
    expect(opened.backend.memory().liveBytes).toBe(liveBytes);
    expect(await logitsOf(opened.model, tokens)).toEqual(before);
  });

  it('of several ranks is loaded with a rank for each module', async () => {
    await using folder = await testFolder();
    const path = folder.file('ranks.gguf');
    const tensors = [pair('blk.0.attn_q.weight', 2), pair('blk.1.attn_q.weight', 3)];
    await writeLoraGguf(path, { architecture: 'llama', alpha: 4, tensors });
    await using opened = await open(await tinyLlama(), 'cpu');
    const loaded = await loadAdapterGguf(path, opened.model, plugin);
    expect(loaded.slots.map(({ state }) => state.params['A']!.shape[0])).toEqual([2, 3]);
    await writeAdapterGguf(folder.file('again.gguf'), opened.model, loaded);
    expect(await readFile(folder.file('again.gguf'))).toEqual(await readFile(path));
  });

  it('that is a model, no GGUF or not there is refused by name', async () => {
    await using folder = await testFolder();
    await using opened = await open(await tinyLlama(), 'cpu');
    const { metadata } = opened.file;
    const model = { name: 'output_norm.weight', array: await opened.file.read('output_norm.weight') };
    await writeGguf(folder.file('model.gguf'), { metadata, tensors: [model] });
    await writeFile(folder.file('text.gguf'), 'an adapter');
    for (const [name, code] of [
      ['model.gguf', 'GGUF_LORA'],
      ['text.gguf', 'GGUF_'],
      ['missing.gguf', 'GGUF_NOT_FOUND'],
    ] as const) {
      const refused = {
        code: expect.stringContaining(code) as string,
        message: expect.stringContaining(name) as string,
      };
      await expect(loadAdapterGguf(folder.file(name), opened.model, plugin)).rejects.toMatchObject(refused);
    }
  });

  it.each(['embed_tokens', 'lm_head'])('is not written of %s where the head is the embedding table', async (target) => {
    await using folder = await testFolder();
    await using opened = await open(await tinyLlama(), 'cpu');
    const adapter = await inject(opened.model, lora({ targetModules: ['q_proj', target] }));
    const refused = error('MODELS_ADAPTER', new RegExp(`llama\\.cpp cannot load an adapter on .*${target}.*merge`));
    expect(() => checkExportable(opened.model, adapter)).toThrow(refused);
    await expect(writeAdapterGguf(folder.file('out.gguf'), opened.model, adapter)).rejects.toEqual(refused);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('is neither written nor read by an adapter that has no form in it', async () => {
    await using folder = await testFolder();
    await using opened = await open(await tinyLlama(), 'cpu');
    const files = { ...plugin.files, gguf: { unsupported: 'it has a magnitude' } };
    const other: Adapter = { ...plugin, type: 'other', files };
    const { config } = lora({ rank: 2 });
    const adapter = await inject(opened.model, { adapter: other, config });
    const refused = error('ADAPTER_UNSUPPORTED', /'other'.*it has a magnitude/);
    await expect(writeAdapterGguf(folder.file('out.gguf'), opened.model, adapter)).rejects.toEqual(refused);
    await writeLoraGguf(folder.file('in.gguf'), {
      architecture: 'llama',
      alpha: 4,
      tensors: [pair('blk.0.attn_q.weight', 2)],
    });
    await expect(loadAdapterGguf(folder.file('in.gguf'), opened.model, other)).rejects.toEqual(refused);
  });
});
