import { cpu } from '@lowrank/backend-cpu';
import type { HostArray } from '@lowrank/core';
import type { GgufValue } from '@lowrank/io-gguf';
import { describe, expect, it } from 'vitest';
import { loadCausalLm } from '../../src/causal-lm/index.ts';
import { tinyLlama, type TinyLlama } from '../support/tiny-llama.ts';

const integer = (value: number): GgufValue => ({ type: 'u32', value });
const real = (value: number): GgufValue => ({ type: 'f32', value });
const text = (value: string): GgufValue => ({ type: 'string', value });
const zeros = (...shape: number[]): HostArray => ({
  format: 'f32',
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

const wrong: readonly (readonly [title: string, change: TinyLlama, code: string, says: RegExp])[] = [
  [
    'of another architecture',
    { metadata: { 'general.architecture': text('gpt2') } },
    'MODELS_ARCHITECTURE',
    /tiny\.gguf has the architecture 'gpt2'; supported: llama/,
  ],
  [
    'that is an adapter',
    { metadata: { 'general.type': text('adapter') } },
    'MODELS_ARCHITECTURE',
    /type 'adapter'.*base model/,
  ],
  [
    'without a layer count',
    { metadata: { 'llama.block_count': undefined } },
    'GGUF_METADATA_MISSING',
    /llama\.block_count/,
  ],
  [
    'with a text for a count',
    { metadata: { 'llama.block_count': text('2') } },
    'GGUF_METADATA_TYPE',
    /llama\.block_count/,
  ],
  ['of no layers', { metadata: { 'llama.block_count': integer(0) } }, 'MODELS_METADATA', /llama\.block_count is 0/],
  [
    'of more than 2^31 heads',
    { metadata: { 'llama.attention.head_count': integer(2 ** 32 - 1) } },
    'MODELS_METADATA',
    /head_count is 4294967295/,
  ],
  [
    'whose heads do not divide its width',
    { metadata: { 'llama.attention.head_count': integer(3) } },
    'MODELS_METADATA',
    /head size 10\.66/,
  ],
  [
    'whose heads do not share the key-value heads',
    { metadata: { 'llama.attention.head_count_kv': integer(3) } },
    'MODELS_METADATA',
    /4 heads do not share 3/,
  ],
  [
    'that turns an odd number of elements',
    { metadata: { 'llama.rope.dimension_count': integer(3) } },
    'MODELS_METADATA',
    /RoPE turns 3 of 8/,
  ],
  [
    'that turns more elements than a head has',
    { metadata: { 'llama.rope.dimension_count': integer(10) } },
    'MODELS_METADATA',
    /RoPE turns 10 of 8/,
  ],
  ['with a RoPE base of 0', { metadata: { 'llama.rope.freq_base': real(0) } }, 'MODELS_METADATA', /RoPE base is 0/],
  [
    'with an infinite RoPE base',
    { metadata: { 'llama.rope.freq_base': real(Infinity) } },
    'MODELS_METADATA',
    /RoPE base is Infinity/,
  ],
  [
    'with a norm epsilon that is no number',
    { metadata: { 'llama.attention.layer_norm_rms_epsilon': real(NaN) } },
    'MODELS_METADATA',
    /epsilon is NaN/,
  ],
  [
    'scaled by YaRN',
    { metadata: { 'llama.rope.scaling.type': text('yarn'), 'llama.rope.scaling.factor': real(4) } },
    'MODELS_METADATA',
    /'yarn' with factor 4; 'linear'/,
  ],
  [
    'without an embedding',
    { tensors: { 'token_embd.weight': undefined } },
    'MODELS_TENSOR',
    /lacks the tensor token_embd\.weight/,
  ],
  [
    'without one of its matrices',
    { tensors: { 'blk.1.ffn_up.weight': undefined } },
    'MODELS_TENSOR',
    /lacks the tensor blk\.1\.ffn_up\.weight/,
  ],
  [
    'with a matrix of another shape',
    { tensors: { 'blk.1.ffn_down.weight': zeros(32, 47) } },
    'MODELS_TENSOR',
    /blk\.1\.ffn_down\.weight has shape \[32, 47\].*\[32, 48\]/,
  ],
  [
    'with a bias of another length',
    { tensors: { 'blk.0.attn_q.bias': zeros(31) } },
    'MODELS_TENSOR',
    /attn_q\.bias has shape \[31\]/,
  ],
  [
    'with more layers than it says',
    { tensors: { 'blk.2.ffn_up.weight': zeros(48, 32) } },
    'MODELS_TENSOR',
    /has the tensor blk\.2\.ffn_up\.weight.*2 layers/,
  ],
  [
    'with a tensor of another kind of model',
    { tensors: { 'blk.0.attn_q_norm.weight': zeros(8) } },
    'MODELS_TENSOR',
    /attn_q_norm/,
  ],
  [
    'with too few RoPE factors',
    { ropeFactors: [1, 2, 4] },
    'MODELS_TENSOR',
    /rope_freqs\.weight has shape \[3\].*\[4\]/,
  ],
  ['with a RoPE factor of 0', { ropeFactors: [1, 0, 4, 8] }, 'MODELS_TENSOR', /rope_freqs\.weight has the factor 0/],
];

describe('a GGUF is refused, and nothing of it stays in memory,', () => {
  it.each(wrong)('%s', async (_, change, code, says) => {
    const backend = await cpu({ engine: 'native', threads: 1 });
    const expected = expect.objectContaining({ code, message: expect.stringMatching(says) as string }) as Error;
    await expect(loadCausalLm(await tinyLlama(change), backend)).rejects.toEqual(expected);
    expect(backend.memory().liveStorages).toBe(0);
    await backend.dispose();
  });
});

describe('a loaded model', () => {
  it('tells how far loading is, up to all bytes of all tensors', async () => {
    const backend = await cpu({ engine: 'native', threads: 1 });
    const file = await tinyLlama({ tied: false, ropeFactors: [1, 1, 2, 2] });
    const told: [number, number][] = [];
    const model = await loadCausalLm(file, backend, { onProgress: (...progress) => told.push(progress) });
    const total = [...file.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength!, 0);
    expect(told).toHaveLength(file.tensors.size);
    expect(told.at(-1)).toEqual([total, total]);
    expect(told.map(([loaded]) => loaded)).toEqual(told.map(([loaded]) => loaded).toSorted((a, b) => a - b));
    model.dispose();
    expect(backend.memory().liveStorages).toBe(0);
    await backend.dispose();
  });
});
