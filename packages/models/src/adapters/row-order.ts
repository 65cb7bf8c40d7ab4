import type { HostArray } from '@lowrank/core';
import type { CausalLmConfig } from '../causal-lm/config.ts';

/**
 * In which order the rows of q and k stand. GGUFs of the Llama family hold the two elements that rotary embedding turns
 * together side by side, Hugging Face's files half a head apart; of other architectures both hold them alike.
 */
export type RowOrder = 'gguf' | 'hf';

/** The order in which a base holds its rows. */
export function rowOrderOf({ architecture, pairing }: CausalLmConfig): RowOrder {
  return architecture.pairing === 'interleaved' && pairing === 'half' ? 'hf' : 'gguf';
}

/** Whether a module's rows stand in another order in the other kind of file. */
export function hasOwnOrder({ architecture }: CausalLmConfig, path: string): boolean {
  return architecture.pairing === 'interleaved' && /\.self_attn\.[qk]_proj$/.test(path);
}

/**
 * An array's rows, its first axis, brought into the other order: gguf[h d + 2 i + j] = hf[h d + j d / 2 + i], with d the head
 * size. Any format whose rows are whole blocks.
 */
export function reorderRows(array: HostArray, headSize: number, to: RowOrder): HostArray {
  const { data, shape } = array;
  const rows = shape[0]!;
  const stride = data.length / rows;
  const moved = data.slice();
  const half = headSize / 2;
  for (let head = 0; head < rows; head += headSize) {
    for (let i = 0; i < half; i++) {
      for (let j = 0; j < 2; j++) {
        const [gguf, hf] = [head + 2 * i + j, head + j * half + i];
        const [source, target] = to === 'gguf' ? [hf, gguf] : [gguf, hf];
        moved.set(data.subarray(source * stride, (source + 1) * stride), target * stride);
      }
    }
  }
  return { ...array, data: moved };
}
