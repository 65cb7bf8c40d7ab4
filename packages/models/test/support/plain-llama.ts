/**
 * A llama in float64 and plain loops, after Touvron et al. 2023 (arXiv 2302.13971) and Su et al. 2021 (arXiv 2104.09864).
 * It shares no code with the engine but the decoding of the file's numbers.
 */
import { decodeArray } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';

type Vector = Float64Array;
type Matrix = readonly Vector[];

/** Logits behind every token: [tokens][vocabulary]. */
export async function plainLogits(file: GgufFile, ids: ArrayLike<number>): Promise<Matrix> {
  const { metadata } = file;
  const heads = metadata.integer('llama.attention.head_count');
  const kvHeads = metadata.integer('llama.attention.head_count_kv', heads);
  const epsilon = metadata.number('llama.attention.layer_norm_rms_epsilon');
  const base = metadata.number('llama.rope.freq_base', 10_000);
  const scale = metadata.number('llama.rope.scaling.factor', 1);
  const matrix = async (name: string): Promise<Matrix> => {
    const array = await file.read(name);
    const values = Float64Array.from(decodeArray(array));
    const width = array.shape.at(-1)!;
    return Array.from({ length: values.length / width }, (_, row) => values.subarray(row * width, (row + 1) * width));
  };
  const vector = async (name: string): Promise<Vector> => (await matrix(name))[0]!;
  const has = (name: string): boolean => file.tensors.has(name);
  const factors = has('rope_freqs.weight') ? await vector('rope_freqs.weight') : undefined;

  const linear = async (name: string, xs: Matrix): Promise<Matrix> => {
    const weight = await matrix(`${name}.weight`);
    const bias = has(`${name}.bias`) ? await vector(`${name}.bias`) : undefined;
    return xs.map((x) => Float64Array.from(weight, (row, i) => dot(row, x) + (bias?.[i] ?? 0)));
  };
  const normed = async (name: string, xs: Matrix): Promise<Matrix> => {
    const gain = await vector(`${name}.weight`);
    return xs.map((x) => {
      const inverse = 1 / Math.sqrt(dot(x, x) / x.length + epsilon);
      return x.map((value, i) => value * inverse * gain[i]!);
    });
  };
  const turned = (xs: Matrix, count: number): Matrix =>
    xs.map((x, position) => {
      const y = Float64Array.from(x);
      const size = x.length / count;
      for (let at = 0; at < x.length; at += 2) {
        const pair = (at % size) / 2;
        const angle = position * (base ** ((-2 * pair) / size) / scale / (factors?.[pair] ?? 1));
        // The engine's tables are f32.
        const [cos, sin] = [Math.fround(Math.cos(angle)), Math.fround(Math.sin(angle))];
        y[at] = x[at]! * cos - x[at + 1]! * sin;
        y[at + 1] = x[at]! * sin + x[at + 1]! * cos;
      }
      return y;
    });

  const table = await matrix('token_embd.weight');
  let h: Matrix = Array.from(ids, (id) => table[id]!);
  for (let n = 0; has(`blk.${n}.attn_q.weight`); n++) {
    const x = await normed(`blk.${n}.attn_norm`, h);
    const q = turned(await linear(`blk.${n}.attn_q`, x), heads);
    const k = turned(await linear(`blk.${n}.attn_k`, x), kvHeads);
    const v = await linear(`blk.${n}.attn_v`, x);
    const mixed = q.map((_, position) => attend(q[position]!, k.slice(0, position + 1), v, heads, kvHeads));
    h = sum(h, await linear(`blk.${n}.attn_output`, mixed));
    const z = await normed(`blk.${n}.ffn_norm`, h);
    const [gate, up] = [await linear(`blk.${n}.ffn_gate`, z), await linear(`blk.${n}.ffn_up`, z)];
    const product = gate.map((row, i) => row.map((g, j) => (g / (1 + Math.exp(-g))) * up[i]![j]!));
    h = sum(h, await linear(`blk.${n}.ffn_down`, product));
  }
  return linear(has('output.weight') ? 'output' : 'token_embd', await normed('output_norm', h));
}

/** -log softmax(logits)[target]. */
export function crossEntropyOf(logits: Vector, target: number): number {
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((total, logit) => total + Math.exp(logit - most), 0)) - logits[target]!;
}

/** One query row over the keys and values up to its own. */
function attend(q: Vector, keys: Matrix, values: Matrix, heads: number, kvHeads: number): Vector {
  const size = q.length / heads;
  const out = new Float64Array(q.length);
  for (let head = 0; head < heads; head++) {
    const from = Math.floor(head / (heads / kvHeads)) * size;
    const query = q.subarray(head * size, (head + 1) * size);
    const scores = keys.map((key) => dot(query, key.subarray(from, from + size)) / Math.sqrt(size));
    const most = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((a, b) => a + b, 0);
    weights.forEach((weight, row) => {
      for (let i = 0; i < size; i++) out[head * size + i]! += (weight / total) * values[row]![from + i]!;
    });
  }
  return out;
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((total, value, i) => total + value * b[i]!, 0);
}

function sum(a: Matrix, b: Matrix): Matrix {
  return a.map((row, i) => row.map((value, j) => value + b[i]![j]!));
}
