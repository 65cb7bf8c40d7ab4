import type { InlineBlockFormat } from '@lowrank/core';

export interface Product {
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: true;
  readonly transposeB?: true;
  /** b is in blocks of this format: x W^T where transposeB, else x W. */
  readonly format?: InlineBlockFormat | 'nf4';
}

const llmLayers = [
  { model: 'Qwen2.5-0.5B', tokens: 256, width: 896, layers: { q: 896, k: 128, up: 4864 } },
  { model: 'Llama-3.2-1B', tokens: 128, width: 2048, layers: { q: 2048, k: 512, up: 8192 } },
];

/** The sizes of SmolLM2-135M: 576 wide, 192 for keys and values, 1536 in the feed-forward part, 49152 tokens; then larger models'. */
export const cases: readonly Product[] = [
  { name: 'matrix', m: 512, n: 576, k: 1536 },
  { name: 'layer forward', m: 1024, n: 576, k: 576, transposeB: true },
  { name: 'layer forward', m: 1024, n: 192, k: 576, transposeB: true },
  { name: 'layer forward', m: 1024, n: 1536, k: 576, transposeB: true },
  { name: 'layer forward', m: 1024, n: 576, k: 1536, transposeB: true },
  { name: 'layer backward', m: 1024, n: 576, k: 1536 },
  { name: 'layer weight gradient', m: 1536, n: 576, k: 1024, transposeA: true },
  { name: 'layer q4_1 forward', m: 1024, n: 1536, k: 576, transposeB: true, format: 'q4_1' },
  { name: 'layer q4_1 backward', m: 1024, n: 576, k: 1536, format: 'q4_1' },
  { name: 'layer nf4 forward', m: 1024, n: 1536, k: 576, transposeB: true, format: 'nf4' },
  { name: 'layer nf4 backward', m: 1024, n: 576, k: 1536, format: 'nf4' },
  { name: 'layer q8_0 forward', m: 1024, n: 576, k: 1536, transposeB: true, format: 'q8_0' },
  { name: 'head q8_0 forward', m: 128, n: 49152, k: 576, transposeB: true, format: 'q8_0' },
  { name: 'lora x A^T', m: 1024, n: 8, k: 576, transposeB: true },
  { name: 'lora h B^T', m: 1024, n: 1536, k: 8, transposeB: true },
  { name: 'lora dh^T x', m: 8, n: 576, k: 1024, transposeA: true },
  { name: 'lora dy^T h', m: 1536, n: 8, k: 1024, transposeA: true },
  { name: 'token f32', m: 1, n: 1536, k: 576, transposeB: true },
  { name: 'token q4_1', m: 1, n: 1536, k: 576, transposeB: true, format: 'q4_1' },
  { name: '40 tokens q4_1', m: 40, n: 1536, k: 576, transposeB: true, format: 'q4_1' },
  ...llmLayers.flatMap(({ model, tokens, width, layers }) =>
    Object.entries(layers).flatMap(([layer, rows]): Product[] => [
      { name: `${model} ${layer} forward`, m: tokens, n: rows, k: width, transposeB: true },
      { name: `${model} ${layer} backward`, m: tokens, n: width, k: rows },
      { name: `${model} ${layer} weight gradient`, m: rows, n: width, k: tokens, transposeA: true },
    ]),
  ),
  ...llmLayers.map(({ model, tokens, width, layers }): Product => {
    return { name: `${model} up q4_1 forward`, m: tokens, n: layers.up, k: width, transposeB: true, format: 'q4_1' };
  }),
];

export function describe({ name, m, n, k }: Product): string {
  return `${name} ${m}x${n}x${k}`;
}

export function operations({ m, n, k }: Product): number {
  return 2 * m * n * k;
}

/** Whether b is a frozen weight, which a peer may lay out once. */
export function isFrozen({ name, transposeA }: Product): boolean {
  return transposeA !== true && !name.startsWith('lora');
}

export function values(length: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(length);
  for (let i = 0; i < length; i++) result[i] = ((i * 7919) % 2003) / 1001 - 1;
  return result;
}
