/**
 * The outside judge: the suite's cases through onnxruntime-web, whose results the suite's own reference must agree with.
 *
 * onnxruntime computes in float32, so what is allowed between the two is what is allowed of any float32 backend: the
 * case's own bound, plus `approximation` below.
 */
import { reference } from '@lowrank/conformance';
import type { Backend, Storage } from '@lowrank/core';
import * as ort from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCases } from '../src/backend/all-cases.ts';
import { byKernel } from '../src/backend/case.ts';
import type { Case, Kernels } from '../src/backend/case.ts';
import { compare } from '../src/backend/compare.ts';
import { float64, flushed } from '../src/backend/operands.ts';
import { evaluate } from '../src/backend/evaluate.ts';
import { resultNames } from '../src/backend/run-case.ts';
import { onnxFormats } from './onnx/dequantize.ts';
import { Graph } from './onnx/model.ts';
import type { ElementType } from './onnx/model.ts';
import { lengthOf, translators } from './onnx/translate.ts';
import type { Operand, Result } from './onnx/translate.ts';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

/** What ONNX, or onnxruntime's way with it, leaves open, by kernel and case. */
const open: readonly (readonly [kernel: string, name: RegExp, reason: string])[] = [
  ['cast', /^f32 to i32, (saturating|not finite)/, 'casts out of range are undefined in ONNX'],
  ['reduce', /^(max|min), not a number/, 'ONNX does not say what the maximum of NaN is; onnxruntime drops the NaN'],
  ['rmsNorm', /^\[3, 0\]$/, 'onnxruntime refuses rows of nothing'],
  ['rope', /^65543 tokens/, 'onnxruntime refuses more tokens than its tables have rows'],
  ['attention', /^more tokens than 65,535/, 'thousands of sequences are thousands of nodes, which take minutes'],
  ['crossEntropy', /^\[0, 7\]$/, 'onnxruntime refuses a loss of no rows'],
];

/** Why a case does not go to the judge; undefined where it does. */
function excuse(row: Case): string | undefined {
  if (translators[row.kernel] === undefined) return 'no operator in ONNX';
  for (const input of row.inputs) {
    if ('format' in input && !onnxFormats.includes(input.format)) return `no ${input.format} in ONNX`;
  }
  return open.find(([kernel, name]) => kernel === row.kernel && name.test(row.name))?.[2];
}

/**
 * onnxruntime's tanh and logistic are rational approximations that end where float32 cannot tell the result from 1
 * (|x| > 9 and |x| > 18): exact to a few units in the last place of 1, not of the result. 2^-22 is four.
 */
function approximation(row: Case, at: number): number {
  const inputs = row.inputs.map(({ data }) => data);
  const magnitude = (i: number): number => Math.abs(inputs[i]![at]!);
  if (row.kernel === 'unary' && /^(tanh|sigmoid),/.test(row.name)) return 2 ** -22;
  if (row.kernel === 'silu') return 2 ** -22 * magnitude(0);
  return row.kernel === 'swiglu' ? 2 ** -22 * magnitude(0) * magnitude(1) : 0;
}

interface Recorded {
  readonly graph: Graph;
  readonly feeds: Record<string, ort.Tensor>;
  readonly results: readonly Result[];
}

/** Lets the case call kernels that build a graph instead of computing. */
function record(row: Case): Recorded {
  const graph = new Graph();
  const feeds: Record<string, ort.Tensor> = {};
  let results: readonly Result[] = [];
  const operands = row.inputs.map((input, at): Operand => {
    const type: ElementType = input.data instanceof Int32Array ? 'int32' : 'float32';
    const bytes = 'format' in input ? { bytes: input.data } : {};
    return { at, length: input.data.length, type, ...bytes };
  });
  const taken = new Map<number, string>();
  const take = (operand: Operand, shape: readonly number[]): string => {
    const known = taken.get(operand.at);
    if (known !== undefined) return known;
    const name = `input${operand.at}`;
    const { data } = row.inputs[operand.at]!;
    feeds[name] = new ort.Tensor(data instanceof Int32Array ? 'int32' : 'float32', data as Float32Array, shape);
    taken.set(operand.at, graph.input(name, operand.type, shape));
    return name;
  };
  const translate = translators[row.kernel] as (graph: Graph, ...args: unknown[]) => Result[];
  const recorder = {
    [row.kernel]: (...args: unknown[]) => {
      results = translate(graph, take, ...args);
      // Several results have names; the case only hands them on.
      return {};
    },
  } as unknown as Kernels;
  row.run(recorder, operands as unknown as Storage[]);
  return { graph, feeds, results };
}

/** What onnxruntime gives; undefined for results that it does not have. */
async function ask(row: Case): Promise<(Float64Array | undefined)[]> {
  const { graph, feeds, results } = record(row);
  const names = results.map((result) => result && graph.output(result.value, result.type, result.shape));
  // Without optimization, which would put operators together.
  const session = await ort.InferenceSession.create(graph.bytes(), { graphOptimizationLevel: 'disabled' });
  try {
    const values = await session.run(feeds);
    return names.map((name, i) => {
      if (name === undefined) return undefined;
      const { data } = values[name]!;
      expect(data, row.name).toHaveLength(lengthOf(results[i]!));
      return Float64Array.from(data as Float32Array);
    });
  } finally {
    await session.release();
  }
}

async function judge(own: Backend, row: Case): Promise<void> {
  const expected = (await evaluate(own, row, row.inputs)).map(float64);
  const alternative = row.subnormal ? (await evaluate(own, row, row.inputs.map(flushed))).map(float64) : expected;
  const judged = await ask(row);
  const bound = row.bound(2 ** -24, expected);
  for (const [i, output] of resultNames(row).entries()) {
    const got = judged[i];
    if (got === undefined) continue;
    const tolerance = bound[i]!.map((allowed, at) => allowed + approximation(row, at));
    compare({ kernel: row.kernel, case: row.name, output }, got, expected[i]!, tolerance, 'f32', alternative[i]);
  }
}

describe('onnxruntime agrees with the reference', () => {
  let own: Backend;
  beforeAll(async () => {
    own = await reference();
  });
  afterAll(() => own.dispose());

  const groups = [...byKernel(allCases())].map(([kernel, rows]) => {
    const judged = rows.filter((row) => excuse(row) === undefined);
    return { kernel, judged, count: `${judged.length} of ${rows.length} cases` };
  });

  it.each(groups.filter(({ judged }) => judged.length > 0))('on $kernel, $count', async ({ judged }) => {
    const failures: string[] = [];
    for (const row of judged) {
      await judge(own, row).catch((error: unknown) => failures.push(`${row.name}: ${(error as Error).message}`));
    }
    expect(failures).toEqual([]);
  });

  it('has a case behind each exception', () => {
    const named = open.map(([kernel, name]) =>
      allCases().filter((row) => row.kernel === kernel && name.test(row.name)),
    );
    expect(named.map((rows) => rows.length)).toEqual([2, 2, 1, 4, 1, 1]);
  });

  it('on all kernels but those that ONNX has no operator for', () => {
    expect(groups.filter(({ judged }) => judged.length === 0).map(({ kernel }) => kernel)).toEqual([
      'siluBackward',
      'swigluBackward',
      'softmaxBackward',
      'rmsNormBackward',
      'rmsNormWeightBackward',
      'attentionBackward',
      'crossEntropyBackward',
      'dropout',
      'sumOfSquares',
      'adamw',
      'adamw8bit',
    ]);
  });

  it('and would not with one that turns the wrong way', async () => {
    const { kernels } = own;
    const wrong = {
      ...own,
      kernels: { ...kernels, matmul: (a, b, spec) => kernels.matmul(a, b, { ...spec, transposeB: false }) },
    } satisfies Backend;
    const row = allCases().find(({ kernel, name }) => kernel === 'matmul' && name === '1 of 5x7x3, a, b transposed')!;
    await judge(own, row);
    await expect(judge(wrong, row)).rejects.toThrow('elements are off');
  });
});
