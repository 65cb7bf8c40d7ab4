/** The fused kernels on the reference's storage: operands checked, formulas called. */
import type { AttentionSpec, FusedKernels, QuantizedMatmulSpec, Storage } from '@lowrank/core';
import { silu, siluBackward, swiglu, swigluBackward } from './activations.ts';
import { adamw } from './adamw.ts';
import { adamw8bit } from './adamw8bit.ts';
import { attention, attentionBackward } from './attention.ts';
import { crossEntropy, crossEntropyBackward } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { accumulate } from './elementwise.ts';
import { assertIndices, refuse, sizeOf } from './heap.ts';
import type { Heap } from './heap.ts';
import { matmul } from './matmul.ts';
import { factors } from './primitives.ts';
import { gatherQuantized, matmulQuantized } from './quantized.ts';
import { rmsNorm, rmsNormBackward, rmsNormWeightBackward } from './rms-norm.ts';
import { rope } from './rope.ts';
import { softmax, softmaxBackward } from './softmax.ts';

export function fused(heap: Heap): FusedKernels {
  return { ...products(heap), ...activations(heap), ...rowwise(heap), ...attentions(heap), ...training(heap) };
}

type Some<K extends keyof FusedKernels> = Pick<FusedKernels, K>;

function products(
  heap: Heap,
): Some<'matmulAccumulate' | 'matmulQuantized' | 'matmulQuantizedAccumulate' | 'gatherQuantized'> {
  const decoding = (kernel: string, x: Storage, weight: Storage, spec: QuantizedMatmulSpec): Float64Array => {
    const { format, m, rows, columns } = spec;
    const inner = spec.transposed ? rows : columns;
    const data = heap.f32(kernel, 'x', x, sizeOf(kernel, '[m, k]', [m, inner]));
    return matmulQuantized(data, heap.blocks(kernel, 'weight', weight, format, rows, columns), spec);
  };
  return {
    matmulAccumulate(target, a, b, spec) {
      const product = matmul(...factors(heap, 'matmulAccumulate', a, b, spec), spec);
      accumulate(heap.f32('matmulAccumulate', 'target', target, product.length), product);
    },
    matmulQuantized: (x, weight, spec) => heap.adopt(decoding('matmulQuantized', x, weight, spec)),
    matmulQuantizedAccumulate(target, x, weight, spec) {
      const product = decoding('matmulQuantizedAccumulate', x, weight, spec);
      accumulate(heap.f32('matmulQuantizedAccumulate', 'target', target, product.length), product);
    },
    gatherQuantized(table, format, rows, columns, indices, count) {
      const blocks = heap.blocks('gatherQuantized', 'table', table, format, rows, columns);
      const index = heap.i32('gatherQuantized', 'indices', indices, count);
      assertIndices('gatherQuantized', 'indices', index, rows);
      return heap.adopt(gatherQuantized(blocks, index));
    },
  };
}

function activations(heap: Heap): Some<'silu' | 'siluBackward' | 'swiglu' | 'swigluBackward'> {
  return {
    silu: (x, length) => heap.adopt(silu(heap.f32('silu', 'x', x, length))),
    siluBackward: (x, dy, length) =>
      heap.adopt(siluBackward(heap.f32('siluBackward', 'x', x, length), heap.f32('siluBackward', 'dy', dy, length))),
    swiglu: (gate, up, length) =>
      heap.adopt(swiglu(heap.f32('swiglu', 'gate', gate, length), heap.f32('swiglu', 'up', up, length))),
    swigluBackward(gate, up, dy, length) {
      const { dGate, dUp } = swigluBackward(
        heap.f32('swigluBackward', 'gate', gate, length),
        heap.f32('swigluBackward', 'up', up, length),
        heap.f32('swigluBackward', 'dy', dy, length),
      );
      return { dGate: heap.adopt(dGate), dUp: heap.adopt(dUp) };
    },
  };
}

function rowwise(
  heap: Heap,
): Some<
  | 'softmax'
  | 'softmaxBackward'
  | 'rmsNorm'
  | 'rmsNormBackward'
  | 'rmsNormWeightBackward'
  | 'crossEntropy'
  | 'crossEntropyBackward'
> {
  /** An operand [rows, columns]. */
  const matrix = (kernel: string, name: string, x: Storage, rows: number, columns: number): Float64Array =>
    heap.f32(kernel, name, x, sizeOf(kernel, '[rows, columns]', [rows, columns]));
  const targetsOf = (kernel: string, targets: Storage, rows: number, columns: number): Int32Array => {
    const data = heap.i32(kernel, 'targets', targets, rows);
    assertIndices(
      kernel,
      'targets',
      data.filter((target) => target >= 0),
      columns,
    );
    return data;
  };
  return {
    softmax: (x, rows, columns) => heap.adopt(softmax(matrix('softmax', 'x', x, rows, columns), rows, columns)),
    softmaxBackward(y, dy, rows, columns) {
      const output = matrix('softmaxBackward', 'y', y, rows, columns);
      return heap.adopt(softmaxBackward(output, matrix('softmaxBackward', 'dy', dy, rows, columns), rows, columns));
    },
    rmsNorm(x, weight, rows, columns, epsilon) {
      const data = matrix('rmsNorm', 'x', x, rows, columns);
      return heap.adopt(rmsNorm(data, heap.f32('rmsNorm', 'weight', weight, columns), rows, columns, epsilon));
    },
    rmsNormBackward(x, weight, dy, rows, columns, epsilon) {
      const kernel = 'rmsNormBackward';
      const data = matrix(kernel, 'x', x, rows, columns);
      const scale = heap.f32(kernel, 'weight', weight, columns);
      const gradient = matrix(kernel, 'dy', dy, rows, columns);
      return heap.adopt(rmsNormBackward(data, scale, gradient, rows, columns, epsilon));
    },
    rmsNormWeightBackward(x, dy, rows, columns, epsilon) {
      const kernel = 'rmsNormWeightBackward';
      const data = matrix(kernel, 'x', x, rows, columns);
      const gradient = matrix(kernel, 'dy', dy, rows, columns);
      return heap.adopt(rmsNormWeightBackward(data, gradient, rows, columns, epsilon));
    },
    crossEntropy(logits, targets, rows, columns) {
      const data = matrix('crossEntropy', 'logits', logits, rows, columns);
      const classes = targetsOf('crossEntropy', targets, rows, columns);
      const { losses, logSumExp } = crossEntropy(data, classes, rows, columns);
      return { losses: heap.adopt(losses), logSumExp: heap.adopt(logSumExp) };
    },
    crossEntropyBackward(logits, targets, logSumExp, dLosses, rows, columns) {
      const kernel = 'crossEntropyBackward';
      const data = matrix(kernel, 'logits', logits, rows, columns);
      const classes = targetsOf(kernel, targets, rows, columns);
      const kept = heap.f32(kernel, 'logSumExp', logSumExp, rows);
      const gradient = heap.f32(kernel, 'dLosses', dLosses, rows);
      return heap.adopt(crossEntropyBackward(data, classes, kept, gradient, rows, columns));
    },
  };
}

function attentions(heap: Heap): Some<'rope' | 'attention' | 'attentionBackward'> {
  return {
    rope(x, cos, sin, positions, spec) {
      const { tokens, heads, headSize, rotary, tableRows } = spec;
      if (rotary % 2 !== 0 || rotary > headSize) {
        throw refuse('rope', `rotary ${rotary} must be even and at most the head size ${headSize}`, rotary);
      }
      const data = heap.f32('rope', 'x', x, sizeOf('rope', '[tokens, heads, headSize]', [tokens, heads, headSize]));
      const table = sizeOf('rope', '[tableRows, rotary / 2]', [tableRows, rotary / 2]);
      const cosines = heap.f32('rope', 'cos', cos, table);
      const sines = heap.f32('rope', 'sin', sin, table);
      const at = heap.i32('rope', 'positions', positions, tokens);
      assertIndices('rope', 'positions', at, tableRows);
      return heap.adopt(rope(data, cosines, sines, at, spec));
    },
    attention(q, k, v, spec) {
      const [queries, keys, values] = attentionOperands(heap, 'attention', q, k, v, spec);
      const { output, logSumExp } = attention(queries, keys, values, spec);
      return { output: heap.adopt(output), logSumExp: heap.adopt(logSumExp) };
    },
    attentionBackward(q, k, v, output, logSumExp, dOutput, spec) {
      const kernel = 'attentionBackward';
      const [queries, keys, values] = attentionOperands(heap, kernel, q, k, v, spec);
      const y = heap.f32(kernel, 'output', output, queries.length);
      const kept = heap.f32(kernel, 'logSumExp', logSumExp, spec.queries * spec.heads);
      const dy = heap.f32(kernel, 'dOutput', dOutput, queries.length);
      const { dq, dk, dv } = attentionBackward(queries, keys, values, y, kept, dy, spec);
      return { dq: heap.adopt(dq), dk: heap.adopt(dk), dv: heap.adopt(dv) };
    },
  };
}

function attentionOperands(
  heap: Heap,
  kernel: string,
  q: Storage,
  k: Storage,
  v: Storage,
  spec: AttentionSpec,
): [Float64Array, Float64Array, Float64Array] {
  assertSegments(kernel, spec);
  const keySize = sizeOf(kernel, '[keys, kvHeads, headSize]', [spec.keys, spec.kvHeads, spec.headSize]);
  const querySize = sizeOf(kernel, '[queries, heads, headSize]', [spec.queries, spec.heads, spec.headSize]);
  return [heap.f32(kernel, 'q', q, querySize), heap.f32(kernel, 'k', k, keySize), heap.f32(kernel, 'v', v, keySize)];
}

/** Refuses segments that leave a query out, name one twice, reach past the keys, or give a query no key to see. */
function assertSegments(kernel: string, spec: AttentionSpec): void {
  const { queries, keys, heads, kvHeads, segments } = spec;
  if (kvHeads < 1 || heads % kvHeads !== 0) {
    throw refuse(kernel, `${heads} heads are not a multiple of ${kvHeads} key-value heads`, kvHeads);
  }
  if (segments.length % 4 !== 0) throw refuse(kernel, `segments has ${segments.length} numbers, not 4 each`, segments);
  const owners = new Uint8Array(queries);
  for (let s = 0; s < segments.length; s += 4) {
    const [query0, queryCount, key0, keyCount] = [...segments.subarray(s, s + 4)] as [number, number, number, number];
    const inside =
      query0 >= 0 &&
      queryCount >= 0 &&
      query0 + queryCount <= queries &&
      key0 >= 0 &&
      key0 + keyCount <= keys &&
      keyCount >= queryCount;
    if (!inside) {
      throw refuse(
        kernel,
        `segment ${s / 4} [${query0}, ${queryCount}, ${key0}, ${keyCount}] is not inside ${queries} queries and ${keys} keys, with a key for each query`,
        segments,
      );
    }
    for (let i = query0; i < query0 + queryCount; i++) owners[i]!++;
  }
  const wrong = owners.findIndex((count) => count !== 1);
  if (wrong >= 0) throw refuse(kernel, `query ${wrong} belongs to ${owners[wrong]} segments, not to one`, segments);
}

function training(heap: Heap): Some<'dropout' | 'sumOfSquares' | 'adamw' | 'adamw8bit'> {
  return {
    dropout(x, spec) {
      const size = sizeOf('dropout', '[rows, columns]', [spec.rows, spec.columns]);
      return heap.adopt(dropout(heap.f32('dropout', 'x', x, size), spec));
    },
    sumOfSquares(parts, lengths) {
      let sum = 0;
      for (const [index, part] of parts.entries()) {
        for (const x of heap.f32('sumOfSquares', `parts[${index}]`, part, lengths[index]!)) sum += x * x;
      }
      return heap.adopt(Float64Array.of(sum));
    },
    adamw(operands, moments, gradientScale, spec) {
      const row = moments.length / 2;
      const both = heap.f32('adamw', 'moments', moments, 2 * row);
      const [factor] = heap.f32('adamw', 'gradientScale', gradientScale, 1);
      if (row % 16 !== 0) throw refuse('adamw', `moments are rows of ${row}, which is not a multiple of 16`, row);
      let end = 0;
      for (const { parameter, gradient, length, at } of operands) {
        if (at % 16 !== 0 || at < end || at + length > row) {
          throw refuse('adamw', `moments ${at} to ${at + length} are not behind ${end}, in a row of ${row}`, at);
        }
        end = at + length;
        adamw(
          heap.f32('adamw', 'parameter', parameter, length),
          heap.f32('adamw', 'gradient', gradient, length),
          both.subarray(at, at + length),
          both.subarray(row + at, row + at + length),
          factor!,
          spec,
        );
      }
    },
    adamw8bit(operands, maps, gradientScale, spec) {
      const both = heap.f32('adamw8bit', 'maps', maps, 512);
      const [factor] = heap.f32('adamw8bit', 'gradientScale', gradientScale, 1);
      for (const { parameter, gradient, length, ...kept } of operands) {
        const [words, blocks] = [Math.ceil(length / 4), Math.ceil(length / 256)];
        const first = {
          codes: heap.i32('adamw8bit', 'firstCodes', kept.firstCodes, words),
          absmax: heap.f32('adamw8bit', 'firstAbsmax', kept.firstAbsmax, blocks),
          map: both.subarray(0, 256),
        };
        const second = {
          codes: heap.i32('adamw8bit', 'secondCodes', kept.secondCodes, words),
          absmax: heap.f32('adamw8bit', 'secondAbsmax', kept.secondAbsmax, blocks),
          map: both.subarray(256),
        };
        adamw8bit(
          heap.f32('adamw8bit', 'parameter', parameter, length),
          heap.f32('adamw8bit', 'gradient', gradient, length),
          first,
          second,
          factor!,
          spec,
        );
      }
    },
  };
}
