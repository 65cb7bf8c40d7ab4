import { describe, expect, it } from 'vitest';
import { logitsOf, open } from '../support/open.ts';
import { plainLogits } from '../support/plain-llama.ts';
import { someTokens, tinyLlama, type TinyLlama } from '../support/tiny-llama.ts';

/**
 * Both programs compute in float64; only the order of sums differs. A logit is below 50 here and behind it lie some
 * thousand roundings of 1.1e-16 relative, which the norms and the attention's weights magnify at most by tens.
 */
const BOUND = 1e-10;

const vector = (data: readonly number[]) => ({
  format: 'f32' as const,
  shape: [data.length],
  data: Float32Array.from(data),
});
const ramp = (length: number) => vector(Array.from({ length }, (_, i) => (i % 7) / 7 - 0.4));

const variants: readonly (readonly [string, TinyLlama])[] = [
  ['grouped-query attention and a tied head', {}],
  ['one key-value head', { kvHeads: 1 }],
  ['as many key-value heads as heads', { kvHeads: 4 }],
  ['a head of its own', { tied: false }],
  ["Llama 3's rope_freqs", { ropeFactors: [1, 1.5, 4, 8] }],
  [
    'linear RoPE scaling',
    {
      metadata: {
        'llama.rope.scaling.type': { type: 'string', value: 'linear' },
        'llama.rope.scaling.factor': { type: 'f32', value: 4 },
      },
    },
  ],
  [
    'biases',
    {
      tensors: {
        'blk.0.attn_q.bias': ramp(32),
        'blk.0.attn_k.bias': ramp(16),
        'blk.1.attn_v.bias': ramp(16),
        'blk.1.attn_output.bias': ramp(32),
        'blk.1.ffn_down.bias': ramp(32),
      },
    },
  ],
];

describe('logits on the float64 reference are those of plain loops, with', () => {
  it.each(variants)('%s', async (_, variant) => {
    await using opened = await open(await tinyLlama(variant), 'reference');
    const ids = someTokens(20);
    const expected = await plainLogits(opened.file, ids);
    const found = await logitsOf(opened.model, ids);
    const differences = found.flatMap((row, i) => Array.from(row, (value, id) => Math.abs(value - expected[i]![id]!)));
    expect(differences).toHaveLength(20 * 40);
    expect(Math.max(...differences)).toBeLessThan(BOUND);
    // What is compared is not small.
    expect(Math.max(...expected.flatMap((row) => Array.from(row, Math.abs)))).toBeGreaterThan(1);
  });
});
