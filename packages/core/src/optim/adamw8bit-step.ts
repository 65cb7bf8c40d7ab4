import type { AdamWSpec } from '../backend/kernels.ts';
import { add, div, equal, less, maximum, mul, sub } from '../ops/binary.ts';
import { cast } from '../ops/cast.ts';
import { concat } from '../ops/concat.ts';
import { gather } from '../ops/gather.ts';
import { max } from '../ops/reduce.ts';
import { reshape } from '../ops/reshape.ts';
import { offset, scale } from '../ops/scale.ts';
import { slice } from '../ops/slice.ts';
import { abs } from '../ops/unary.ts';
import { where } from '../ops/where.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';
import { adamwStep } from './adamw-step.ts';
import { overwrite } from './optimizer.ts';

/** What codes stand for, on the backend. */
export interface CodeMap {
  /** [256], ascending. */
  readonly values: Tensor;
  /** [255]: between neighbours, rounded to f32. */
  readonly midpoints: Tensor;
}

export interface CodeMaps {
  /** From -0.99 to 1. */
  readonly first: CodeMap;
  /** From 0 to 1. */
  readonly second: CodeMap;
}

/** A moment in 8 bits: three codes to a word, the last block filled up. */
interface CodedMoment {
  readonly codes: Tensor;
  readonly absmax: Tensor;
}

const blockSize = 256;

/**
 * `adamw8bit` of primitives, in place. Codes are whole numbers in f32, exact below 2^24, so a word holds three of them.
 */
export function adamw8bitStep(
  parameter: Tensor,
  gradient: Tensor,
  first: CodedMoment,
  second: CodedMoment,
  maps: CodeMaps,
  spec: AdamWSpec,
): void {
  const { size } = parameter;
  const { p, m, v } = adamwStep(
    inBlocks(parameter.detach()),
    inBlocks(gradient),
    decode(first, maps.first.values),
    decode(second, maps.second.values),
    spec,
  );
  overwrite(parameter, slice(reshape(p, [p.size]), 0, 0, size));
  const ofFirst = nearest(m, first.absmax, maps.first);
  const ofSecond = nearest(v, second.absmax, maps.second);
  store(first.codes, ofFirst);
  // 1 where v is above 0: its code is that at least.
  store(second.codes, maximum(ofSecond, less(numbers(v, 0), reshape(v, [v.size]))));
}

/** Flattened, filled up with zeros: [blocks, 256]. */
function inBlocks(x: Tensor): Tensor {
  const blocks = Math.ceil(x.size / blockSize);
  return reshape(filledUp(reshape(x, [x.size]), blocks * blockSize), [blocks, blockSize]);
}

/** x [n] with zeros behind it: [length]. */
function filledUp(x: Tensor, length: number): Tensor {
  return x.size === length ? x : concat([x, numbers(x, 0, length - x.size)], 0);
}

/** map[code] * absmax: [blocks, 256]. */
function decode({ codes, absmax }: CodedMoment, map: Tensor): Tensor {
  const blocks = absmax.size;
  const word = cast(codes, 'f32');
  const high = whole(scale(word, 2 ** -16));
  const rest = sub(word, scale(high, 2 ** 16));
  const middle = whole(scale(rest, 2 ** -8));
  const low = sub(rest, scale(middle, 2 ** 8));
  const columns = [low, middle, high].map((code) => reshape(code, [codes.size, 1]));
  const all = slice(reshape(concat(columns, 1), [3 * codes.size]), 0, 0, blocks * blockSize);
  const values = reshape(lookUp(map, all), [blocks, blockSize]);
  return mul(values, reshape(absmax, [blocks, 1]));
}

/** Overwrites the absmax by those of x [blocks, 256], and gives the codes [256 blocks]. */
function nearest(x: Tensor, absmax: Tensor, { midpoints }: CodeMap): Tensor {
  const largest = max(abs(x), { axis: 1 });
  overwrite(absmax, largest);
  const divisor = where(equal(largest, numbers(x, 0)), numbers(x, 1), largest);
  return rank(reshape(div(x, reshape(divisor, [absmax.size, 1])), [x.size]), midpoints);
}

/** Overwrites words by codes, three to each. */
function store(words: Tensor, codes: Tensor): void {
  const rows = reshape(filledUp(codes, 3 * words.size), [words.size, 3]);
  const [low, middle, high] = [0, 1, 2].map((column) => slice(rows, 1, column, 1)) as [Tensor, Tensor, Tensor];
  overwrite(words, cast(add(add(low, scale(middle, 2 ** 8)), scale(high, 2 ** 16)), 'i32'));
}

/** How many of 255 ascending midpoints are strictly below x [n], by eight halvings. */
function rank(x: Tensor, midpoints: Tensor): Tensor {
  let count = numbers(x, 0, x.size);
  for (let step = 128; step >= 1; step /= 2) {
    const below = less(lookUp(midpoints, offset(count, step - 1)), x);
    count = add(count, scale(below, step));
  }
  return count;
}

/** table[indices], for whole numbers in f32. */
function lookUp(table: Tensor, indices: Tensor): Tensor {
  return reshape(gather(reshape(table, [table.size, 1]), cast(indices, 'i32')), [indices.size]);
}

/** What stands before the point, of numbers from 0 on. */
function whole(x: Tensor): Tensor {
  return cast(cast(x, 'i32'), 'f32');
}

/** `length` times a number. */
function numbers({ backend }: Tensor, value: number, length = 1): Tensor {
  return filled(backend, value, [length]);
}
