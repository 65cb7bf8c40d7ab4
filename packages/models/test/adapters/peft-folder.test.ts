import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dora, doraAdapter, type DoraOptions } from '@lowrank/adapter-dora';
import { lora, loraAdapter, type LoraOptions } from '@lowrank/adapter-lora';
import { adapterSites, inject, type Adapter, type ConfiguredAdapter, type HostArray } from '@lowrank/core';
import { fileSource, openSafetensors, writeSafetensors } from '@lowrank/io-safetensors';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { adapterFromModel, loadAdapter, readAdapter, sitesOf, writePeftFolder } from '../../src/adapters/index.ts';
import { testFolder, type TestFolder } from '../support/folder.ts';
import { logitsOf, open, stir, type Opened } from '../support/open.ts';
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

/** Writes a stirred adapter; gives the live logits. */
async function written(path: string, configured: ConfiguredAdapter): Promise<Float64Array[]> {
  const { model } = opened;
  const injected = await inject(model, configured);
  await stir(injected);
  const live = await logitsOf(model, tokens);
  await writePeftFolder(path, model, await adapterFromModel(model, injected));
  injected.eject();
  return live;
}

const asLora = (options: LoraOptions): ConfiguredAdapter => lora(options);
const asDora = (options: DoraOptions): ConfiguredAdapter => dora(options);

it('the sites of a header are those of the loaded model', () => {
  expect(sitesOf(opened.model)).toEqual(adapterSites(opened.model));
});

describe('a PEFT folder', () => {
  it.each<readonly [string, ConfiguredAdapter]>([
    ['LoRA', asLora({ rank: 4, alpha: 16, targetModules: 'all-linear', dropout: 0.1 })],
    ['rsLoRA', asLora({ rank: 5, alpha: 7, useRslora: true })],
    ['patterns', asLora({ rank: 4, rankPattern: { q_proj: 2 }, alphaPattern: { 'layers\\.1\\..*v_proj': 3 } })],
    ['one layer', asLora({ layersToTransform: [1] })],
    ['a regular expression', asLora({ targetModules: '.*\\.0\\..*(q|down)_proj', excludeModules: ['v_proj'] })],
    ['embedding and head', asLora({ targetModules: ['embed_tokens', 'lm_head', 'k_proj'] })],
    ['modules to save', asLora({ targetModules: ['q_proj'], modulesToSave: ['lm_head', 'model.norm'] })],
    ['DoRA', asDora({ rank: 3, targetModules: ['q_proj', 'k_proj', 'up_proj'] })],
    ['DoRA on an embedding', asDora({ rank: 2, targetModules: ['embed_tokens', 'q_proj'] })],
  ])('of %s gives the same bits of logits when loaded, and the same configuration', async (name, configured) => {
    const path = folder.file(name);
    const live = await written(path, configured);
    expect((await readdir(path)).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    const loaded = await loadAdapter(path, opened.model, plugins);
    expect(await logitsOf(opened.model, tokens)).toEqual(live);
    // Targets are named as shortly as they can be.
    const { targetModules } = loaded.configured.config;
    expect(loaded.configured.config).toEqual({ ...configured.config, targetModules });
    loaded.eject();
  });

  it("holds Hugging Face's order of q's and k's rows, whatever the base's", async () => {
    const path = folder.file('rows');
    const { model } = opened;
    const injected = await inject(model, asDora({ rank: 2, targetModules: ['q_proj', 'k_proj', 'v_proj'] }));
    await stir(injected);
    const states = await injected.hostStates();
    await writePeftFolder(path, model, await adapterFromModel(model, injected));
    injected.eject();
    await using file = await openSafetensors(await fileSource(join(path, 'adapter_model.safetensors')));
    const at = 'model.layers.1.self_attn';
    const rows = async (key: string): Promise<(row: number) => number[]> => {
      const { data, shape } = await file.read(`base_model.model.${at}.${key}`);
      const width = shape[1] ?? 1;
      return (row) => Array.from((data as Float32Array).subarray(row * width, (row + 1) * width));
    };
    // Head size 8; FORMATS: gguf[h d + 2 i + j] = hf[h d + j d / 2 + i]. Element 5 of head 1 (i = 2, j = 1) is hf's 8 + 4 + 2.
    for (const [module, name, key] of [
      ['q_proj', 'B', 'lora_B.weight'],
      ['k_proj', 'B', 'lora_B.weight'],
      ['q_proj', 'magnitude', 'lora_magnitude_vector'],
    ] as const) {
      const own = states.get(`${at}.${module}`)!.params[name]!;
      const width = own.shape[1] ?? 1;
      const hf = await rows(`${module}.${key}`);
      expect(hf(14), module).toEqual(Array.from(own.data.subarray(13 * width, 14 * width)));
      expect(hf(8), module).toEqual(Array.from(own.data.subarray(8 * width, 9 * width)));
      expect(hf(9), module).toEqual(Array.from(own.data.subarray(10 * width, 11 * width)));
    }
    for (const [module, name, key] of [
      ['v_proj', 'B', 'lora_B.weight'],
      ['q_proj', 'A', 'lora_A.weight'],
    ] as const) {
      const own = states.get(`${at}.${module}`)!.params[name]!;
      const hf = await rows(`${module}.${key}`);
      expect(hf(1), module).toEqual(Array.from(own.data.subarray(own.shape[1], 2 * own.shape[1]!)));
    }
  });

  it('turns the rows of modules trained whole, too', async () => {
    const path = folder.file('whole');
    const live = await written(
      path,
      asLora({ targetModules: ['v_proj'], modulesToSave: ['layers.0.self_attn.k_proj'] }),
    );
    const name = 'model.layers.0.self_attn.k_proj.weight';
    const loaded = await loadAdapter(path, opened.model, plugins);
    expect(await logitsOf(opened.model, tokens)).toEqual(live);
    const own = (await loaded.hostStates()).get('model.layers.0.self_attn.k_proj')!.params['weight']!;
    loaded.eject();
    await using file = await openSafetensors(await fileSource(join(path, 'adapter_model.safetensors')));
    const { data } = await file.read(`base_model.model.${name}`);
    // Heads of 8: gguf[1] = hf[4].
    expect(Array.from(data.subarray(4 * 32, 5 * 32))).toEqual(Array.from(own.data.subarray(32, 64)));
  });

  it('names modules as shortly as it can, so that PEFT finds the same ones', async () => {
    const targets = async (name: string, options: LoraOptions): Promise<unknown> => {
      await written(folder.file(name), asLora(options));
      const text = await readFile(join(folder.file(name), 'adapter_config.json'), 'utf8');
      return (JSON.parse(text) as Record<string, unknown>)['target_modules'];
    };
    expect(await targets('all', { targetModules: 'all-linear' })).toEqual(
      'q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj'.split(','),
    );
    const path = 'model.layers.1.mlp.up_proj';
    expect(await targets('some', { targetModules: [path] })).toEqual([path]);
  });
});

describe('wrong input is refused by file and tensor', () => {
  type Change = (arrays: Map<string, HostArray>, config: Record<string, unknown>) => void;
  const q = 'base_model.model.model.layers.0.self_attn.q_proj';
  const array = (...shape: number[]): HostArray => ({
    format: 'f32',
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
  });

  /** A folder that was right before `change`. */
  async function changed(name: string, configured: ConfiguredAdapter, change: Change): Promise<string> {
    const path = folder.file(`wrong ${name}`);
    await written(path, configured);
    const weights = join(path, 'adapter_model.safetensors');
    const arrays = new Map<string, HostArray>();
    {
      await using file = await openSafetensors(await fileSource(weights));
      for (const key of file.tensors.keys()) arrays.set(key, await file.read(key));
    }
    const configPath = join(path, 'adapter_config.json');
    const config = JSON.parse(await readFile(configPath, 'utf8')) as Record<string, unknown>;
    change(arrays, config);
    await writeSafetensors(weights, { tensors: Array.from(arrays, ([key, value]) => ({ name: key, array: value })) });
    await writeFile(configPath, JSON.stringify(config));
    return path;
  }

  const swap: Change = (arrays) => {
    const [a, b] = [arrays.get(`${q}.lora_A.weight`)!, arrays.get(`${q}.lora_B.weight`)!];
    arrays.set(`${q}.lora_A.weight`, b);
    arrays.set(`${q}.lora_B.weight`, a);
  };

  it.each<readonly [string, 'lora' | 'dora', Change, RegExp]>([
    [
      'a missing magnitude',
      'dora',
      (arrays) => arrays.delete(`${q}.lora_magnitude_vector`),
      /safetensors: the tensor .*0\.self_attn\.q_proj\.lora_magnitude_vector is missing/,
    ],
    [
      'swapped A and B',
      'lora',
      swap,
      /safetensors: the tensor .*q_proj\.lora_A\.weight has shape \[32, 4\];.*\[4, 32\]/,
    ],
    ['half a pair', 'lora', (arrays) => arrays.delete(`${q}.lora_B.weight`), /q_proj\.lora_B\.weight is missing/],
    [
      'a whole pair missing',
      'lora',
      (arrays) => [arrays.delete(`${q}.lora_A.weight`), arrays.delete(`${q}.lora_B.weight`)],
      /q_proj\.lora_A\.weight is missing, though .*adapter_config\.json asks for/,
    ],
    [
      'a stray',
      'lora',
      (arrays) => arrays.set('base_model.model.model.layers.7.mlp.up_proj.lora_A.weight', array(4, 32)),
      /layers\.7\.mlp\.up_proj\.lora_A\.weight belongs to no module/,
    ],
    [
      'a magnitude without DoRA',
      'lora',
      (arrays) => arrays.set(`${q}.lora_magnitude_vector`, array(32)),
      /lora_magnitude_vector belongs to no module/,
    ],
    [
      'more than the targets',
      'lora',
      (_, config) => (config['target_modules'] = ['v_proj']),
      /q_proj\.lora_A\.weight is there, though the target modules in .*adapter_config\.json leave/,
    ],
    [
      'another rank in the configuration',
      'lora',
      (_, config) => (config['r'] = 8),
      /q_proj\.lora_A\.weight has shape \[4, 32\]; the rank in the configuration.*\[8, 32\]/,
    ],
    [
      'another rank in a pattern',
      'lora',
      (_, config) => (config['rank_pattern'] = { q_proj: 2 }),
      /q_proj\.lora_A\.weight has shape \[4, 32\]/,
    ],
    ['no rank', 'lora', (_, config) => delete config['r'], /adapter_config\.json: r is missing/],
    ['no alpha', 'lora', (_, config) => (config['lora_alpha'] = null), /adapter_config\.json: lora_alpha is missing/],
    [
      'an alpha that is none',
      'lora',
      (_, config) => (config['lora_alpha'] = 'much'),
      /adapter_config\.json: lora: alpha is "much"/,
    ],
    [
      'an unknown peft_type',
      'lora',
      (_, config) => (config['peft_type'] = 'IA3'),
      /adapter_config\.json: peft_type is "IA3"; known here: LORA$/,
    ],
    ['no peft_type', 'lora', (_, config) => delete config['peft_type'], /peft_type is missing/],
    [
      'an unknown option',
      'lora',
      (_, config) => (config['use_magic'] = true),
      /adapter_config\.json: lora: 'use_magic'.*not an option/,
    ],
    [
      'an option that changes numbers',
      'lora',
      (_, config) => (config['fan_in_fan_out'] = true),
      /sets 'fan_in_fan_out'/,
    ],
    [
      'DoRA that is not said to be',
      'dora',
      (_, config) => (config['use_dora'] = false),
      /lora_magnitude_vector belongs to no module/,
    ],
    [
      'LoRA that is said to be DoRA',
      'lora',
      (_, config) => (config['use_dora'] = true),
      /lora_magnitude_vector is missing/,
    ],
    [
      'a module to save that is not there',
      'lora',
      (_, config) => (config['modules_to_save'] = ['lm_head']),
      /lm_head\.weight is missing, though .*modules_to_save/,
    ],
    [
      'a magnitude twice',
      'dora',
      (arrays) => arrays.set(`${q}.lora_magnitude_vector.weight`, array(32)),
      /lora_magnitude_vector.* is there twice/,
    ],
  ])('%s', async (name, kind, change, says) => {
    const configured = kind === 'lora' ? asLora({ rank: 4 }) : asDora({ rank: 4 });
    const path = await changed(name, configured, change);
    const { liveBytes } = opened.backend.memory();
    const reading = loadAdapter(path, opened.model, plugins);
    await expect(reading).rejects.toMatchObject({
      code: 'MODELS_ADAPTER',
      message: expect.stringMatching(says) as string,
    });
    await expect(reading).rejects.toMatchObject({ message: expect.stringContaining(path) as string });
    expect(opened.backend.memory().liveBytes).toBe(liveBytes);
  });

  it('values that are not finite, when asked', async () => {
    const path = await changed('nan', asLora({ rank: 4 }), (arrays) => {
      (arrays.get(`${q}.lora_B.weight`)!.data as Float32Array)[3] = NaN;
    });
    await readAdapter(path, opened.model, plugins);
    await expect(readAdapter(path, opened.model, plugins, { checkFinite: true })).rejects.toMatchObject({
      code: 'MODELS_ADAPTER',
      message: expect.stringMatching(/of model\.layers\.0\.self_attn\.q_proj\.B is NaN/) as string,
    });
  });

  it('another base', async () => {
    const path = folder.file('other base');
    await written(path, asLora({ rank: 4, targetModules: ['up_proj'] }));
    await using other = await open(await tinyLlama({ feedForward: 64 }), 'cpu');
    await expect(readAdapter(path, other.model, plugins)).rejects.toThrow(
      /up_proj\.lora_B\.weight has shape \[48, 4\];.*base model ask for \[64, 4\]/,
    );
    await using shallow = await open(await tinyLlama({ layers: 1 }), 'cpu');
    await expect(readAdapter(path, shallow.model, plugins)).rejects.toThrow(/layers\.1\.mlp.*belongs to no module/);
  });

  it('a folder that is not whole, or holds others', async () => {
    const path = folder.file('parts');
    await written(path, asLora({ rank: 4 }));
    const refused = (at: string): Promise<string> =>
      readAdapter(at, opened.model, plugins).then(
        () => 'read',
        (error: unknown) => (error as Error).message,
      );
    const half = async (name: string, ...files: string[]): Promise<string> => {
      await mkdir(folder.file(name), { recursive: true });
      for (const file of files) await copyFile(join(path, file), join(folder.file(name), file));
      return folder.file(name);
    };
    expect(await refused(await half('no weights', 'adapter_config.json'))).toMatch(
      /adapter_model\.safetensors is missing/,
    );
    expect(await refused(await half('no config', 'adapter_model.safetensors'))).toMatch(
      /adapter_config\.json is missing/,
    );
    const pickled = await half('pickled', 'adapter_config.json');
    await writeFile(join(pickled, 'adapter_model.bin'), 'x');
    expect(await refused(pickled)).toMatch(/pickle.*safe_serialization/);
    await half('many', 'adapter_config.json');
    const outer = folder.file('outer');
    await mkdir(join(outer, 'poet'), { recursive: true });
    await copyFile(join(path, 'adapter_config.json'), join(outer, 'poet', 'adapter_config.json'));
    expect(await refused(outer)).toMatch(/give one of them: poet/);
    const broken = await half('broken', 'adapter_config.json', 'adapter_model.safetensors');
    const bytes = await readFile(join(broken, 'adapter_model.safetensors'));
    await writeFile(join(broken, 'adapter_model.safetensors'), bytes.subarray(0, -4));
    expect(await refused(broken)).toMatch(/adapter_model\.safetensors is cut off/);
    await writeFile(join(broken, 'adapter_config.json'), '{');
    expect(await refused(broken)).toMatch(/adapter_config\.json cannot be read/);
  });
});
