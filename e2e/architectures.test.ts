/**
 * What a llama-architecture GGUF's metadata may say, on small random models: our logits are llama.cpp's. It is the
 * outside judge of grouped-query attention, rotary positions with their scalings, and separate heads.
 */
import { cpu } from '@lowrank/backend-cpu';
import { RandomStream, type HostArray } from '@lowrank/core';
import { openGguf, writeGguf, type GgufValue } from '@lowrank/io-gguf';
import { embeddedModel } from '@lowrank/models';
import { describe, expect, it } from 'vitest';
import { openLlamaCpp } from './llama-cpp/client.ts';
import { greatestDifference, logitsOf } from './support/log-probabilities.ts';
import { openModel } from './support/open-model.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

interface Variant {
  readonly title: string;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly headSize?: number;
  readonly separateHead?: boolean;
  /** Llama 3's, a divisor for each pair. */
  readonly ropeFactors?: readonly number[];
  readonly linearScale?: number;
  readonly ropeBase?: number;
}

const LAYERS = 2;
const WIDTH = 64;
const FEED_FORWARD = 96;
const TOKENS = 40;

const variants: readonly Variant[] = [
  { title: 'as many key-value heads as heads' },
  { title: 'grouped-query attention', kvHeads: 2 },
  { title: 'one key-value head', kvHeads: 1 },
  { title: 'a separate output head', separateHead: true },
  { title: 'heads wider than their share of the stream', headSize: 32 },
  { title: 'another rotary base', ropeBase: 500_000 },
  { title: "Llama 3's rope_freqs", ropeFactors: [1, 1, 1, 1.5, 2, 4, 8, 8] },
  { title: 'linear rotary scaling', linearScale: 4 },
];

describe('logits of a random llama with', () => {
  it.each(variants)("$title are llama.cpp's", async (variant) => {
    await using folder = await temporaryFolder();
    const path = folder.file('model.gguf');
    await writeRandomLlama(path, variant);
    const backend = await cpu({ engine: 'native' });
    const random = new RandomStream(7, 'tokens');
    const tokens = Int32Array.from({ length: TOKENS }, () => random.nextInteger(256));
    let ours: Float64Array[];
    {
      await using opened = await openModel(path, backend);
      ours = await logitsOf(opened.model, tokens, 0);
    }
    await backend.dispose();
    await using llama = await openLlamaCpp(path);
    const theirs = await llama.logits(tokens, 0);
    expect(theirs).toHaveLength(TOKENS);
    expect(greatestDifference(ours, theirs)).toBeLessThan(bound(ours));
  });
});

/**
 * Two float32 programs: sums of at most k terms err by about sqrt(k) u and angles at position p by p u, independently
 * (Higham & Mary 2019); a log-probability has twice a logit's error, and both programs have it.
 */
function bound(logits: readonly Float64Array[]): number {
  const largest = Math.max(...logits.map((row) => row.reduce((most, x) => Math.max(most, Math.abs(x)), 0)));
  const branch = Math.sqrt(4 * FEED_FORWARD + TOKENS ** 2) * 2 ** -24;
  return Math.SQRT2 * 2 * Math.sqrt(2 * LAYERS) * branch * largest;
}

async function writeRandomLlama(path: string, variant: Variant): Promise<void> {
  const { heads = 4, kvHeads = heads, headSize = WIDTH / heads, separateHead = false, ropeFactors } = variant;
  await using template = await openGguf(await embeddedModel());
  const vocabulary = template.tensors.get('token_embd.weight')!.shape[0]!;
  const random = new RandomStream(3, variant.title);
  const matrix = (rows: number, columns: number, gain = 1): HostArray => ({
    format: 'f32',
    shape: [rows, columns],
    data: random.normal(rows * columns, gain / Math.sqrt(columns)),
  });
  const norm = (): HostArray => ({ format: 'f32', shape: [WIDTH], data: random.uniform(WIDTH, 0.5, 1.5) });
  const tensors = new Map<string, HostArray>([['token_embd.weight', matrix(vocabulary, WIDTH, 8)]]);
  for (let n = 0; n < LAYERS; n++) {
    tensors.set(`blk.${n}.attn_norm.weight`, norm());
    tensors.set(`blk.${n}.attn_q.weight`, matrix(heads * headSize, WIDTH, 2));
    tensors.set(`blk.${n}.attn_k.weight`, matrix(kvHeads * headSize, WIDTH, 2));
    tensors.set(`blk.${n}.attn_v.weight`, matrix(kvHeads * headSize, WIDTH));
    tensors.set(`blk.${n}.attn_output.weight`, matrix(WIDTH, heads * headSize));
    tensors.set(`blk.${n}.ffn_norm.weight`, norm());
    tensors.set(`blk.${n}.ffn_gate.weight`, matrix(FEED_FORWARD, WIDTH));
    tensors.set(`blk.${n}.ffn_up.weight`, matrix(FEED_FORWARD, WIDTH));
    tensors.set(`blk.${n}.ffn_down.weight`, matrix(WIDTH, FEED_FORWARD));
  }
  tensors.set('output_norm.weight', norm());
  if (separateHead) tensors.set('output.weight', matrix(vocabulary, WIDTH));
  if (ropeFactors !== undefined) {
    tensors.set('rope_freqs.weight', {
      format: 'f32',
      shape: [ropeFactors.length],
      data: Float32Array.from(ropeFactors),
    });
  }
  const metadata = new Map<string, GgufValue>(template.metadata);
  const integer = (key: string, value: number) => metadata.set(`llama.${key}`, { type: 'u32', value });
  integer('block_count', LAYERS);
  integer('embedding_length', WIDTH);
  integer('feed_forward_length', FEED_FORWARD);
  integer('attention.head_count', heads);
  integer('attention.head_count_kv', kvHeads);
  integer('attention.key_length', headSize);
  integer('attention.value_length', headSize);
  integer('rope.dimension_count', headSize);
  metadata.set('llama.rope.freq_base', { type: 'f32', value: variant.ropeBase ?? 10_000 });
  metadata.set('general.file_type', { type: 'u32', value: 0 });
  if (variant.linearScale !== undefined) {
    metadata.set('llama.rope.scaling.type', { type: 'string', value: 'linear' });
    metadata.set('llama.rope.scaling.factor', { type: 'f32', value: variant.linearScale });
  }
  await writeGguf(path, { metadata, tensors: [...tensors].map(([name, array]) => ({ name, array })) });
}
