import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dora } from '@lowrank/adapter-dora';
import { lora } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { inject, wholeModules, type InjectedAdapter } from '@lowrank/core';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import { describe, expect, it } from 'vitest';
import { loadCausalLm, openBaseModel } from '../../src/causal-lm/index.ts';
import { writeMergedFolder, writeMergedGguf } from '../../src/export/index.ts';
import { tokenizerFromGguf } from '../../src/tokenizer/index.ts';
import { testFolder } from '../support/folder.ts';
import { logitsOf, open, openNames, stir, type Opened } from '../support/open.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

const ids = someTokens(12);
/** What `tinyLlama` needs to have a tokenizer: bytes are not enough for its 40 tokens, so it has a few letters. */
const vocabulary = Array.from({ length: 40 }, (_, i) =>
  i < 2 ? ['<|begin|>', '<|end|>'][i]! : String.fromCodePoint(95 + i),
);
const tokenizer = {
  'tokenizer.ggml.model': { type: 'string', value: 'gpt2' },
  'tokenizer.ggml.pre': { type: 'string', value: 'llama-bpe' },
  'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: vocabulary },
  'tokenizer.ggml.token_type': {
    type: 'array',
    of: 'i32',
    value: Int32Array.from(vocabulary, (_, i) => (i < 2 ? 3 : 1)),
  },
  'tokenizer.ggml.merges': { type: 'array', of: 'string', value: [] },
  'tokenizer.ggml.bos_token_id': { type: 'u32', value: 0 },
  'tokenizer.ggml.eos_token_id': { type: 'u32', value: 1 },
} as const;

/** The model in a folder or file, opened anew: its logits. */
async function logitsAt(path: string, tokens: Int32Array): Promise<Float64Array[]> {
  await using base = await openBaseModel(path);
  const backend = await cpu({ engine: 'native', threads: 1 });
  const model = await loadCausalLm(base.file, backend);
  const logits = await logitsOf(model, tokens);
  model.dispose();
  await backend.dispose();
  return logits;
}

const worst = (a: Float64Array[], b: Float64Array[]): number =>
  Math.max(...a.flatMap((row, i) => Array.from(row, (value, j) => Math.abs(value - b[i]![j]!))));
const most = (a: Float64Array[]): number => Math.max(...a.flatMap((row) => Array.from(row, Math.abs)));
/** Sums of up to 96 products in another order of elements, in float32, through up to four layers. */
const rounding = 100 * 2 ** -24;

describe('the embedded model', () => {
  it('as a Hugging Face folder gives its logits and its token ids; as a GGUF again its very tensors', async () => {
    await using folder = await testFolder();
    await using names = await openNames();
    const tokens = Int32Array.from([0, 40, 50, 60, 70, 80]);
    const path = folder.file('hf');
    await writeMergedFolder(path, names.file, names.model, { type: 'keep' });
    expect((await readdir(path)).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const expected = await logitsOf(names.model, tokens);
    expect(worst(await logitsAt(path, tokens), expected)).toBeLessThan(rounding * most(expected));

    await using base = await openBaseModel(path);
    const [own, found] = [tokenizerFromGguf(names.file.metadata), await base.tokenizer()];
    for (const text of ['', 'Anna', 'née Élodie 7\n\n', '<|im_end|>', ' \u{1f600} x', "it's 12345"]) {
      expect(found.encode(text), text).toEqual(own.encode(text));
      expect(found.encode(text, { parseSpecial: true, addSpecial: false }), text).toEqual(
        own.encode(text, { parseSpecial: true, addSpecial: false }),
      );
      expect(found.decode(found.encode(text))).toBe(text);
    }
    const { bosId, eosId, addBos, endOfTurnIds, vocabularySize } = own;
    expect(found).toMatchObject({ bosId, eosId, addBos, endOfTurnIds, vocabularySize });
    expect((await base.chatTemplate(found))?.source).toBe(names.file.metadata.string('tokenizer.chat_template'));

    const backend = await cpu({ engine: 'native', threads: 1 });
    const model = await loadCausalLm(base.file, backend);
    await writeMergedGguf(folder.file('again.gguf'), base.file, model, { type: 'keep' });
    model.dispose();
    await backend.dispose();
    await using again = await openGguf(await fileSource(folder.file('again.gguf')));
    expect(new Set(again.tensors.keys())).toEqual(new Set(names.file.tensors.keys()));
    for (const name of names.file.tensors.keys()) {
      const [{ data: written, ...form }, { data, ...before }] = [await again.read(name), await names.file.read(name)];
      expect(form, name).toEqual(before);
      expect(Buffer.from(written.buffer).equals(Buffer.from(data.slice().buffer)), name).toBe(true);
    }
    const shared = [...again.metadata].filter(([key]) => key.startsWith('tokenizer.') || key.startsWith('llama.'));
    expect(shared.length).toBeGreaterThan(15);
    expect(shared).toEqual(shared.map(([key]) => [key, names.file.metadata.get(key)]));
  });
});

/** transformers' way to put it: by wavelengths. Heads of 8, base 500,000, factor 32, from 8192 tokens. */
function llama3Factor(pair: number): number {
  const frequency = 500_000 ** ((-2 * pair) / 8);
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < 8192 / 4) return 1;
  if (wavelength > 8192 / 1) return 32;
  const smooth = (8192 / wavelength - 1) / (4 - 1);
  return frequency / (((1 - smooth) * frequency) / 32 + smooth * frequency);
}

const models = {
  tied: () => tinyLlama({ metadata: tokenizer }),
  untied: () => tinyLlama({ tied: false, metadata: tokenizer }),
  'of Llama 3': () =>
    tinyLlama({
      metadata: { ...tokenizer, 'llama.rope.freq_base': { type: 'f32', value: 500_000 } },
      ropeFactors: [0, 1, 2, 3].map(llama3Factor),
    }),
};

async function stirred(opened: Opened, name: string, options: Parameters<typeof inject>[1]): Promise<InjectedAdapter> {
  const adapter = await inject(opened.model, options, { name });
  await stir(adapter, 0.05);
  return adapter;
}

describe('with an adapter merged in', () => {
  it.each<readonly [string, keyof typeof models, Parameters<typeof inject>[1]]>([
    ['LoRA', 'tied', lora({ targetModules: 'all-linear' })],
    ['LoRA', 'of Llama 3', lora({ rank: 2 })],
    ['DoRA', 'untied', dora({ targetModules: ['q_proj', 'k_proj'] })],
    ['LoRA on a tied head', 'tied', lora({ targetModules: ['lm_head', 'k_proj'] })],
    ['LoRA on a tied embedding', 'tied', lora({ targetModules: ['embed_tokens'] })],
    ['the head alone', 'tied', wholeModules(['lm_head'], { keepTies: false })],
    ['all of it', 'tied', wholeModules(['model', 'lm_head'])],
  ] as never)('%s: a folder and a GGUF of it answer as the live model does', async (_, kind, options) => {
    await using folder = await testFolder();
    await using opened = await open(await models[kind](), 'cpu');
    const adapter = await stirred(opened, 'one', options);
    const live = await logitsOf(opened.model, ids);
    await writeMergedFolder(folder.file('hf'), opened.file, opened.model, { type: 'f32', adapter });
    await writeMergedGguf(folder.file('out.gguf'), opened.file, opened.model, { type: 'f32', adapter });
    for (const name of ['hf', 'out.gguf']) {
      expect(worst(await logitsAt(folder.file(name), ids), live), name).toBeLessThan(rounding * most(live));
    }
  });

  it('several with weights: as both live, each scaled', async () => {
    await using folder = await testFolder();
    await using opened = await open(await models.tied(), 'cpu');
    const first = await stirred(opened, 'first', lora({ rank: 2, alpha: 4, targetModules: ['q_proj', 'v_proj'] }));
    const second = await stirred(opened, 'second', lora({ rank: 3, alpha: 3, targetModules: ['q_proj', 'up_proj'] }));
    const adapters = [
      { adapter: first, weight: 0.5 },
      { adapter: second, weight: -2 },
    ];
    await writeMergedGguf(folder.file('out.gguf'), opened.file, opened.model, { type: 'f32', adapters });
    // LoRA's change is linear in alpha: the same adapters with 0.5 and -2 in B.
    for (const { adapter, weight } of adapters) {
      const states = await adapter.hostStates();
      adapter.load(
        new Map(
          Array.from(states, ([path, { params, buffers }]) => {
            const B = { ...params['B']!, data: Float32Array.from(params['B']!.data, (value) => value * weight) };
            return [path, { params: { ...params, B }, buffers }];
          }),
        ),
      );
    }
    const live = await logitsOf(opened.model, ids);
    expect(worst(await logitsAt(folder.file('out.gguf'), ids), live)).toBeLessThan(rounding * most(live));
  });
});

it('of a model in 4 bits is what that answers, also where there is no adapter', async () => {
  await using folder = await testFolder();
  const file = await models.tied();
  await using opened = await open(file, 'cpu');
  const model = await loadCausalLm(file, opened.backend, { quantize: { format: 'nf4', blockSize: 32 } });
  const adapter = await inject(model, lora({ rank: 2, targetModules: ['q_proj'] }));
  await stir(adapter, 0.05);
  const live = await logitsOf(model, ids);
  await writeMergedGguf(folder.file('out.gguf'), file, model, { type: 'f32', adapters: [{ adapter }] });
  expect(worst(await logitsAt(folder.file('out.gguf'), ids), live)).toBeLessThan(rounding * most(live));
  model.dispose();
});

describe('a folder', () => {
  it('is not written in blocks, nor over its base', async () => {
    await using folder = await testFolder();
    await using opened = await open(await models.tied(), 'cpu');
    await expect(
      writeMergedFolder(folder.file('hf'), opened.file, opened.model, { type: 'q8_0' }),
    ).rejects.toMatchObject({ code: 'MODELS_ARGUMENT', value: 'q8_0' });
    expect(await readdir(folder.path)).toEqual([]);
    await writeMergedFolder(folder.file('hf'), opened.file, opened.model, { type: 'f32' });
    await using base = await openBaseModel(folder.file('hf'));
    await expect(writeMergedFolder(folder.file('hf'), base.file as never, opened.model)).rejects.toMatchObject({
      code: 'MODELS_OUTPUT',
      message: expect.stringContaining('the base itself') as string,
    });
  });

  it.each<readonly [string, (config: Record<string, unknown>) => void, RegExp]>([
    ['of another kind', (config) => (config['model_type'] = 'gpt2'), /model_type "gpt2"; supported: llama, mistral/],
    ['without a size', (config) => delete config['hidden_size'], /hidden_size is missing/],
    ['with another activation', (config) => (config['hidden_act'] = 'gelu'), /hidden_act is "gelu"/],
    ['with a window', (config) => (config['sliding_window'] = 16), /sliding_window is 16/],
    ['quantized', (config) => (config['quantization_config'] = {}), /quantization_config.*unquantized/],
    ['with unknown RoPE', (config) => (config['rope_scaling'] = { rope_type: 'yarn' }), /RoPE's rope_type is "yarn"/],
    ['with half of RoPE', (config) => (config['rope_scaling'] = { rope_type: 'linear' }), /RoPE's factor is missing/],
    ['of other sizes than its weights', (config) => (config['intermediate_size'] = 64), /gate_proj\.weight has shape/],
    ['with more weights than layers', (config) => (config['num_hidden_layers'] = 1), /model\.layers\.1.*does not use/],
  ])('%s is refused by name', async (_, change, says) => {
    await using folder = await testFolder();
    await using opened = await open(await models.tied(), 'cpu');
    const path = folder.file('hf');
    await writeMergedFolder(path, opened.file, opened.model, { type: 'f32' });
    const config = JSON.parse(await readFile(`${path}/config.json`, 'utf8')) as Record<string, unknown>;
    change(config);
    await writeFile(`${path}/config.json`, JSON.stringify(config));
    const loaded = logitsAt(path, ids);
    await expect(loaded).rejects.toThrow(says);
    await expect(loaded).rejects.toMatchObject({ code: expect.stringMatching(/^MODELS_/) as string });
  });
});
