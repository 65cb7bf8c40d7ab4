import { readdir } from 'node:fs/promises';
import { lora, type LoraOptions } from '@lowrank/adapter-lora';
import { decodeArray, inject, type Adapter } from '@lowrank/core';
import { fileSource, openGguf, type GgufFile } from '@lowrank/io-gguf';
import { describe, expect, it } from 'vitest';
import { mergeTypes, writeMergedGguf, type MergeType } from '../../src/export/index.ts';
import { testFolder } from '../support/folder.ts';
import { logitsOf, open, openNames, stir } from '../support/open.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

const tokens = someTokens(12);

/** Rows of 32 values: q8_0's, q4_0's and q4_1's blocks, and fine for the others. */
function* blocks(values: Float32Array): Generator<readonly [at: number, block: Float32Array]> {
  for (let at = 0; at < values.length; at += 32) yield [at, values.subarray(at, at + 32)];
}

/**
 * The most that a value x of a block may lose in each format. f16 and bf16 round to 11 and 8 bits (f16 below 2^-14 to
 * multiples of 2^-24). q8_0: steps of d = |most| / 127. q4_0: of d = |most| / 8 with codes -8 to 7, so that what lies
 * opposite to the greatest is clipped by up to d. q4_1: steps of (most - least) / 15 from the least. Scales and least are
 * stored as f16: 2^-11 of them.
 */
const losses: Readonly<Record<Exclude<MergeType, 'keep'>, (x: number, block: Float32Array) => number>> = {
  f32: () => 0,
  f16: (x) => Math.max(2 ** -11 * Math.abs(x), 2 ** -25),
  bf16: (x) => 2 ** -8 * Math.abs(x),
  q8_0: (_, block) => most(block) * (1 / 254 + 2 ** -11),
  q4_0: (_, block) => most(block) * (1 / 8 + 2 ** -11),
  q4_1: (_, block) => {
    const [low, high] = [Math.min(...block), Math.max(...block)];
    return (high - low) / 30 + 2 ** -11 * (Math.abs(low) + high - low);
  },
};

function most(block: Float32Array): number {
  return block.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

async function values(file: GgufFile, name: string): Promise<Float32Array> {
  return decodeArray(await file.read(name));
}

function expectClose(
  found: Float32Array,
  expected: Float32Array,
  type: Exclude<MergeType, 'keep'>,
  name: string,
): void {
  expect(found.length, name).toBe(expected.length);
  const wrong: string[] = [];
  for (const [at, block] of blocks(expected)) {
    block.forEach((x, i) => {
      const lost = Math.abs(found[at + i]! - x);
      // f32 arithmetic in the codec itself: a few units of 2^-24 of the block's largest.
      const slack = type === 'f32' ? 0 : 4 * 2 ** -24 * most(block);
      if (lost > losses[type](x, block) + slack) wrong.push(`${name}[${at + i}]: ${x} became ${found[at + i]}`);
    });
  }
  expect(wrong).toEqual([]);
}

describe('a merged model', () => {
  it.each(mergeTypes.filter((type) => type !== 'keep'))(
    "as %s holds the merged weights within the format's own bound",
    async (type) => {
      await using folder = await testFolder();
      await using names = await openNames();
      const { model, file } = names;
      const adapter = await inject(model, lora({ rank: 4, alpha: 8, targetModules: ['q_proj', 'down_proj'] }));
      await stir(adapter);
      const told: number[] = [];
      const path = folder.file('merged.gguf');
      const bytes = await writeMergedGguf(path, file, model, {
        type,
        adapter,
        onProgress: (written) => told.push(written),
      });
      await using merged = await openGguf(await fileSource(path));
      expect(merged.source.size).toBe(bytes);
      expect([...merged.tensors.keys()]).toEqual([...file.tensors.keys()]);
      expect(told).toEqual(Array.from(file.tensors, (_, i) => i + 1));
      for (const [name, info] of merged.tensors) {
        const layer = /^blk\.(\d)\.(attn_q|ffn_down)\.weight$/.exec(name);
        const site =
          layer && `model.layers.${layer[1]}.${layer[2] === 'attn_q' ? 'self_attn.q_proj' : 'mlp.down_proj'}`;
        const expected = site ? await (await adapter.mergedWeight(site)).values() : await values(file, name);
        expect(info.format, name).toBe(info.shape.length < 2 ? 'f32' : type);
        expectClose(await values(merged, name), expected, info.shape.length < 2 ? 'f32' : type, name);
      }
      const llamaTypes = { f32: 0, f16: 1, q4_0: 2, q4_1: 3, q8_0: 7, bf16: 32 };
      expect(merged.metadata.integer('general.file_type')).toBe(llamaTypes[type as keyof typeof llamaTypes]);
      expect(merged.metadata.strings('tokenizer.ggml.tokens')).toEqual(file.metadata.strings('tokenizer.ggml.tokens'));
    },
  );

  it('that keeps its types has every byte that the adapter leaves alone', async () => {
    await using folder = await testFolder();
    await using names = await openNames();
    const { model, file } = names;
    const adapter = await inject(model, lora({ rank: 4, targetModules: ['q_proj'] }));
    await stir(adapter);
    await writeMergedGguf(folder.file('kept.gguf'), file, model, { type: 'keep', adapter });
    await using kept = await openGguf(await fileSource(folder.file('kept.gguf')));
    for (const name of file.tensors.keys()) {
      const [before, after] = [await file.read(name), await kept.read(name)];
      expect(after.format).toBe(before.format);
      const same =
        Buffer.compare(
          Buffer.from(after.data.buffer, after.data.byteOffset, after.data.byteLength),
          Buffer.from(before.data.buffer, before.data.byteOffset, before.data.byteLength),
        ) === 0;
      expect(same, name).toBe(!name.includes('attn_q'));
    }
    expect(kept.metadata.integer('general.file_type')).toBe(file.metadata.integer('general.file_type'));
  });

  it.each<readonly [string, LoraOptions, boolean, string[]]>([
    ['linear layers of a tied model', { targetModules: 'all-linear', excludeModules: ['lm_head'] }, true, []],
    ['the head of a tied model, which becomes its own', { targetModules: ['lm_head'] }, true, ['output.weight']],
    [
      'the embedding of a tied model, whose head becomes its own',
      { targetModules: ['embed_tokens'] },
      true,
      ['output.weight'],
    ],
    ['both', { targetModules: ['embed_tokens', 'lm_head', 'v_proj'] }, true, ['output.weight']],
    ['head and embedding of a model with both', { targetModules: ['embed_tokens', 'lm_head'] }, false, []],
  ])('answers like the live adapter on %s', async (_, options, tied, added) => {
    await using folder = await testFolder();
    await using base = await open(await tinyLlama({ tied }), 'reference');
    const adapter = await inject(base.model, lora({ rank: 3, ...options }));
    await stir(adapter);
    const live = await logitsOf(base.model, tokens);
    await writeMergedGguf(folder.file('merged.gguf'), base.file, base.model, { type: 'f32', adapter });
    await using merged = await open(await openGguf(await fileSource(folder.file('merged.gguf'))), 'reference');
    expect(new Set(merged.file.tensors.keys())).toEqual(new Set([...base.file.tensors.keys(), ...added]));
    expect(merged.model.tied).toBe(tied && added.length === 0);
    const found = await logitsOf(merged.model, tokens);
    // All is float64 but the merged weights, rounded to f32: 2^-24 of each, through 2 layers of 2 branches of at most 4
    // products; a logit may be a hundredth of the terms that it is the sum of.
    const bound = 100 * Math.sqrt(2 * 2 * 4) * 2 ** -24 * Math.max(...live.flatMap((row) => Array.from(row, Math.abs)));
    const worst = Math.max(
      ...found.flatMap((row, i) => Array.from(row, (value, id) => Math.abs(value - live[i]![id]!))),
    );
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(bound);
    adapter.eject();
    const plain = await logitsOf(base.model, tokens);
    expect(
      Math.max(...plain.flatMap((row, i) => Array.from(row, (value, id) => Math.abs(value - live[i]![id]!)))),
    ).toBeGreaterThan(100 * bound);
  });

  it('without an adapter is the model in another type', async () => {
    await using folder = await testFolder();
    await using names = await openNames();
    await writeMergedGguf(folder.file('f32.gguf'), names.file, names.model, { type: 'f32' });
    await using converted = await open(await openGguf(await fileSource(folder.file('f32.gguf'))), 'cpu');
    // The base is f16, which f32 holds exactly; products of f16 blocks and of f32 sum in the same order.
    expect(await logitsOf(converted.model, tokens)).toEqual(await logitsOf(names.model, tokens));
  });

  it('whose rows do not fill blocks is refused before anything is written', async () => {
    await using folder = await testFolder();
    await using opened = await open(await tinyLlama(), 'cpu');
    const written = writeMergedGguf(folder.file('q.gguf'), opened.file, opened.model, { type: 'q8_0' });
    await expect(written).rejects.toMatchObject({
      code: 'MODELS_TENSOR',
      message: expect.stringMatching(/ffn_down\.weight has rows of 48, which q8_0/) as string,
    });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('of an adapter that cannot be merged leaves nothing behind', async () => {
    await using folder = await testFolder();
    await using opened = await open(await tinyLlama(), 'cpu');
    const { adapter: plugin, config } = lora({ rank: 2 });
    const unmergeable = Object.fromEntries(Object.entries(plugin).filter(([key]) => key !== 'merge'));
    const adapter = await inject(opened.model, { adapter: unmergeable as unknown as Adapter, config });
    const written = writeMergedGguf(folder.file('m.gguf'), opened.file, opened.model, { type: 'f32', adapter });
    await expect(written).rejects.toMatchObject({ code: 'ADAPTER_UNSUPPORTED' });
    expect(await readdir(folder.path)).toEqual([]);
  });
});
