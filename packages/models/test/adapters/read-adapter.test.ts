import { writeFile } from 'node:fs/promises';
import { dora, doraAdapter } from '@lowrank/adapter-dora';
import { lora, loraAdapter } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { inject, RandomStream, type Adapter, type HostArray } from '@lowrank/core';
import { writeGguf, writeLoraGguf, type GgufValue } from '@lowrank/io-gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adapterFromModel,
  adapterKind,
  loadAdapter,
  putOnModel,
  readAdapter,
  writeAdapter,
  type HostAdapter,
} from '../../src/adapters/index.ts';
import { loadCausalLm, openBaseModel } from '../../src/causal-lm/index.ts';
import { writeMergedFolder } from '../../src/export/index.ts';
import { testFolder, type TestFolder } from '../support/folder.ts';
import { logitsOf, open, openNames, stir, type Opened } from '../support/open.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

const plugins = [loraAdapter, doraAdapter] as unknown as Adapter[];
const tokens = someTokens(12);

let opened: Opened;
let folder: TestFolder;
beforeAll(async () => {
  opened = await open(await tinyLlama({ tied: false }), 'cpu');
  folder = await testFolder();
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const matrix = (name: string, rows: number, columns: number): HostArray => ({
  format: 'f32',
  shape: [rows, columns],
  data: new RandomStream(3, name).normal(rows * columns, 0.2),
});

describe('a file for one kind of base goes on the other', () => {
  it.each(['lora.gguf', 'lora', 'dora'])(
    '%s: the GGUF and the folder of a model answer alike with it',
    async (name) => {
      await using names = await openNames();
      const ids = Int32Array.from([0, 40, 50, 60, 70, 80, 90]);
      await writeMergedFolder(folder.file(`hf of ${name}`), names.file, names.model, { type: 'keep' });
      const make = name.startsWith('lora') ? lora : dora;
      const injected = await inject(names.model, make({ rank: 3, targetModules: ['q_proj', 'k_proj', 'down_proj'] }));
      await stir(injected, 0.1);
      const live = await logitsOf(names.model, ids);
      await writeAdapter(folder.file(name), names.model, await adapterFromModel(names.model, injected));

      await using base = await openBaseModel(folder.file(`hf of ${name}`));
      const backend = await cpu({ engine: 'native', threads: 1 });
      const model = await loadCausalLm(base.file, backend);
      const before = await logitsOf(model, ids);
      const loaded = await loadAdapter(folder.file(name), model, plugins);
      const found = await logitsOf(model, ids);
      const largest = Math.max(...live.flatMap((row) => Array.from(row, Math.abs)));
      const worst = (a: Float64Array[], b: Float64Array[]): number =>
        Math.max(...a.flatMap((row, i) => Array.from(row, (value, j) => Math.abs(value - b[i]![j]!))));
      // The order of elements in sums of 96 differs: float32 rounding through four layers.
      expect(worst(found, live)).toBeLessThan(200 * 2 ** -24 * largest);
      expect(worst(found, before)).toBeGreaterThan(0.01 * largest);

      // And back: what the folder's model writes is what the GGUF's wrote, number by number.
      const [again, first] = [folder.file(`again ${name}`), folder.file(name)];
      await writeAdapter(again, model, await adapterFromModel(model, loaded));
      const read = (path: string): Promise<HostAdapter> => readAdapter(path, names.model, plugins);
      expect((await read(again)).states).toEqual((await read(first)).states);
      model.dispose();
      await backend.dispose();
    },
  );
});

describe.each(['pissa', 'olora'] as const)('%s', (init) => {
  it.each([false, true])(
    '(rsLoRA: %s) is written as the difference that stands on the original base',
    async (useRslora) => {
      const { model } = opened;
      const options = { rank: 3, alpha: 5, init, useRslora, targetModules: ['q_proj', 'up_proj'] };
      const injected = await inject(model, lora(options), { seed: 4 });
      const states = await injected.hostStates();
      const random = new RandomStream(6, 'moved');
      for (const [path, { params, buffers }] of states) {
        const moved = (array: HostArray): HostArray => {
          const noise = random.normal(array.data.length, 0.05);
          return { ...array, data: Float32Array.from(array.data, (value, i) => value + noise[i]!) };
        };
        states.set(path, { params: { A: moved(params['A']!), B: moved(params['B']!) }, buffers });
      }
      injected.load(states);
      const live = await logitsOf(model, tokens);
      const host = await adapterFromModel(model, injected);
      injected.eject();
      const largest = Math.max(...live.flatMap((row) => Array.from(row, Math.abs)));
      for (const name of [`${init}.gguf`, init]) {
        await writeAdapter(folder.file(name), model, host);
        const loaded = await loadAdapter(folder.file(name), model, plugins);
        expect(loaded.slots.map(({ state }) => state.params['A']!.shape[0])).toEqual([6, 6, 6, 6]);
        const found = await logitsOf(model, tokens);
        loaded.eject();
        const worst = Math.max(
          ...found.flatMap((row, i) => Array.from(row, (value, j) => Math.abs(value - live[i]![j]!))),
        );
        // The residual and the sum over twice the rank round in float32, through two layers.
        expect(worst, name).toBeLessThan(500 * 2 ** -24 * largest);
      }
    },
  );
});

it('which kind of adapter lies somewhere is seen by what is there', async () => {
  const { model, file } = opened;
  const injected = await inject(model, lora({ rank: 2 }));
  const host = await adapterFromModel(model, injected);
  injected.eject();
  await writeAdapter(folder.file('kind.gguf'), model, host);
  await writeAdapter(folder.file('kind'), model, host);
  await writeGguf(folder.file('model.gguf'), { metadata: file.metadata, tensors: [] });
  await writeFile(folder.file('text'), 'an adapter');
  const kinds = [
    'kind.gguf',
    'kind',
    'kind/adapter_config.json',
    'kind/adapter_model.safetensors',
    'model.gguf',
    'text',
    '',
  ];
  expect(await Promise.all(kinds.map((name) => adapterKind(folder.file(name))))).toEqual([
    'gguf',
    'peft',
    'peft',
    'peft',
    undefined,
    undefined,
    undefined,
  ]);
  for (const [name, says] of [
    ['model.gguf', /general\.type/],
    ['text', /text/],
    ['nothing', /nothing/],
  ] as const) {
    await expect(readAdapter(folder.file(name), model, plugins)).rejects.toThrow(says);
  }
  await expect(readAdapter(folder.path, model, plugins)).rejects.toThrow(
    /adapter_config\.json is missing|give one of them/,
  );
});

describe('an adapter of zerfoo', () => {
  const rank: GgufValue = { type: 'u32', value: 2 };
  const alpha: GgufValue = { type: 'f32', value: 6 };
  const architecture: GgufValue = { type: 'string', value: 'lora' };
  const metadata = { 'general.architecture': architecture, 'lora.rank': rank, 'lora.alpha': alpha };
  const q = 'blk.0.attn_q.weight';
  const up = 'blk.1.ffn_up.weight';
  const pairs = { [q]: [matrix('qa', 2, 32), matrix('qb', 32, 2)], [up]: [matrix('ua', 2, 32), matrix('ub', 48, 2)] };
  const names: Record<string, string> = { [q]: 'layers.0.attention.wq', [up]: 'layers.1.ffn.w3' };
  const layerNames = {
    'layers.{n}.attention.wq': 'model.layers.{n}.self_attn.q_proj',
    'layers.1.ffn.w3': 'blk.1.ffn_up',
  };
  const variants = {
    'lora.{layer}.weight_a': (layer: string, half: string) => `lora.${layer}.weight_${half}`,
    'lora_a.{layer}': (layer: string, half: string) => `lora_${half}.${layer}`,
  };
  type Variant = keyof typeof variants;

  interface Options {
    readonly variant?: Variant;
    readonly keys?: Record<string, GgufValue>;
    /** A tensor to leave out. */
    readonly drop?: string;
    readonly called?: (base: string) => string;
    readonly tensors?: Record<string, HostArray[]>;
  }

  async function zerfoo(path: string, options: Options = {}): Promise<string> {
    const { variant = 'lora_a.{layer}', keys = metadata, drop = '', tensors = pairs } = options;
    const { called = (base) => names[base]! } = options;
    const all = Object.entries(tensors).flatMap(([base, halves]) =>
      halves.map((array, i) => ({ name: variants[variant](called(base), i === 0 ? 'a' : 'b'), array })),
    );
    await writeGguf(folder.file(path), { metadata: keys, tensors: all.filter(({ name }) => name !== drop) });
    return folder.file(path);
  }

  it.each(Object.keys(variants) as Variant[])('named %s is what llama.cpp has of the same pairs', async (variant) => {
    const path = await zerfoo(`${variant}.gguf`, { variant });
    expect(await adapterKind(path)).toBe('zerfoo');
    await writeLoraGguf(folder.file('same.gguf'), {
      architecture: 'llama',
      alpha: 6,
      tensors: Object.entries(pairs).map(([base, [a, b]]) => ({ base, a: a!, b: b! })),
    });
    const logits = async (from: string): Promise<Float64Array[]> => {
      const injected = await loadAdapter(from, opened.model, plugins, { layerNames });
      const found = await logitsOf(opened.model, tokens);
      injected.eject();
      return found;
    };
    const found = await logits(path);
    expect(found).toEqual(await logits(folder.file('same.gguf')));
    expect(found).not.toEqual(await logitsOf(opened.model, tokens));
  });

  it('needs no mapping for names that are modules already', async () => {
    const path = await zerfoo('own.gguf', { called: (base) => base.replace('.weight', '') });
    const { states } = await readAdapter(path, opened.model, plugins);
    expect([...states.keys()]).toEqual(['model.layers.0.self_attn.q_proj', 'model.layers.1.mlp.up_proj']);
  });

  it('from a base in Hugging Face order has its rows of q turned', async () => {
    const path = await zerfoo('rows.gguf');
    const injected = await putOnModel(
      await readAdapter(path, opened.model, plugins, { layerNames, rowOrder: 'hf' }),
      opened.model,
    );
    const { data } = (await injected.hostStates()).get('model.layers.0.self_attn.q_proj')!.params['B']!;
    injected.eject();
    const own = pairs[q][1]!.data;
    // Heads of 8: gguf[1] = hf[4], gguf[2] = hf[1].
    expect(Array.from(data.subarray(2, 6))).toEqual([...own.subarray(8, 10), ...own.subarray(2, 4)]);
  });

  it.each<readonly [string, Options, Record<string, string> | undefined, RegExp]>([
    [
      'without a mapping',
      {},
      undefined,
      /a layer named layers\.0\.attention\.wq, and nothing says which module.*--layer-names/,
    ],
    [
      'mapped to nothing',
      {},
      { ...layerNames, 'layers.1.ffn.w3': 'blk.9.ffn_up' },
      /map to blk\.9\.ffn_up, and the model has no such/,
    ],
    [
      'mapped twice to one module',
      {},
      { 'layers.0.attention.wq': 'blk.1.ffn_up', 'layers.1.ffn.w3': 'blk.1.ffn_up' },
      /shape \[32, 2\]|two of its layers/,
    ],
    [
      'without rank',
      { keys: { 'general.architecture': architecture, 'lora.alpha': alpha } },
      layerNames,
      /lora\.rank is missing/,
    ],
    [
      'without alpha',
      { keys: { 'general.architecture': architecture, 'lora.rank': rank } },
      layerNames,
      /lora\.alpha is missing/,
    ],
    ['of rank 0', { keys: { ...metadata, 'lora.rank': { type: 'u32', value: 0 } } }, layerNames, /lora\.rank is 0/],
    [
      'of another rank than its shapes',
      { keys: { ...metadata, 'lora.rank': { type: 'u32', value: 4 } } },
      layerNames,
      /lora_a\.layers\.0\.attention\.wq has shape \[2, 32\];.*\[4, 32\]/,
    ],
    ['without half of a pair', { drop: 'lora_b.layers.1.ffn.w3' }, layerNames, /layers\.1\.ffn\.w3 has no B/],
    ['without tensors', { tensors: {} }, layerNames, /no tensors/],
    [
      'with a stray',
      { called: () => '', tensors: { [q]: [matrix('x', 1, 1)] } },
      layerNames,
      /lora_a\. belongs to no adapter/,
    ],
  ])('%s is refused by file and tensor', async (name, options, mapping, says) => {
    const path = await zerfoo(`${name}.gguf`, options);
    const reading = readAdapter(path, opened.model, plugins, mapping === undefined ? {} : { layerNames: mapping });
    await expect(reading).rejects.toMatchObject({
      code: 'MODELS_ADAPTER',
      message: expect.stringMatching(says) as string,
    });
    await expect(reading).rejects.toThrow(path);
  });
});
