import { dynamicMap, unsignedDynamicMap, type Backend, type Storage } from '@lowrank/core';
import { cpu, type CpuBackend, type CpuOptions } from '@lowrank/backend-cpu';
import { afterAll, describe, expect, it } from 'vitest';
import { engineOptions, expectSameNumbers, finiteBytes, numbers } from './engines.ts';

/** Names of results with their values. */
type Results = Record<string, ArrayLike<number>>;

/** Every fused kernel on odd sizes: no multiple of a vector, several chunks, sums longer than the 16 lanes. */
async function everyKernel(backend: Backend): Promise<Results> {
  const { kernels } = backend;
  let seed = 1;
  const random = (length: number): Storage => backend.upload(numbers(length, seed++), 'f32');
  const positive = (length: number): Storage => backend.upload(numbers(length, seed++).map(Math.abs), 'f32');
  const integers = (values: Iterable<number>): Storage => backend.upload(Int32Array.from(values), 'i32');
  const rows = 211;
  const columns = 203;
  const length = rows * columns;

  const x = random(length);
  const y = random(length);
  const dy = random(length);
  const weight = random(columns);
  const targets = integers(Array.from({ length: rows }, (_, i) => (i % 7 === 0 ? -1 : (i * 31) % columns)));
  const entropy = kernels.crossEntropy!(x, targets, rows, columns);
  const blocks = backend.uploadBlocks!(finiteBytes(rows * 9 * 20, 77), 'q4_1', [rows, 288]);
  const quantized = { format: 'q4_1', m: 131, rows, columns: 288 } as const;

  const attention = {
    queries: 301,
    keys: 460,
    heads: 6,
    kvHeads: 2,
    headSize: 24,
    scale: 0.2,
    segments: Int32Array.from([0, 1, 0, 160, 1, 131, 160, 131, 132, 169, 291, 169]),
  };
  const q = random(attention.queries * 144);
  const k = random(attention.keys * 48);
  const v = random(attention.keys * 48);
  const dOutput = random(attention.queries * 144);
  const forward = kernels.attention!(q, k, v, attention);
  const backward = kernels.attentionBackward!(q, k, v, forward.output, forward.logSumExp, dOutput, attention);

  const turn = { tokens: 63, heads: 5, headSize: 40, rotary: 36, tableRows: 70, inverse: false } as const;
  const tables = [
    random(70 * 18),
    random(70 * 18),
    integers(Array.from({ length: 63 }, (_, i) => (i * 11) % 70)),
  ] as const;
  const heads = random(63 * 200);

  const parameter = random(length);
  const small = random(777);
  const row = Math.ceil(length / 16) * 16 + 784;
  const moments = positive(2 * row);
  const gradientScale = positive(1);
  const step = {
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    correction1: 0.19,
    correction2: 0.002,
  };
  const trained = [
    { parameter: small, gradient: x, length: 777, at: 0 },
    { parameter, gradient: dy, length, at: 784 },
  ];
  kernels.adamw!(trained, moments, gradientScale, step);

  const coded = {
    parameter8bit: random(length),
    firstCodes: integers(Array.from({ length: Math.ceil(length / 4) }, (_, i) => i * 0x9e3779b9)),
    firstAbsmax: positive(Math.ceil(length / 256)),
    secondCodes: integers(Array.from({ length: Math.ceil(length / 4) }, (_, i) => i * 0x85ebca6b)),
    secondAbsmax: positive(Math.ceil(length / 256)),
  };
  const maps = backend.upload(Float32Array.from([...dynamicMap(), ...unsignedDynamicMap()]), 'f32');
  const { parameter8bit, ...state } = coded;
  const trained8bit = [{ parameter: parameter8bit, gradient: dy, length, ...state }];
  kernels.adamw8bit!(trained8bit, maps, gradientScale, step);

  const sums = { quantizedSum: random(131 * 288), denseSum: random(rows * 77) };
  kernels.matmulQuantizedAccumulate!(sums.quantizedSum, random(131 * rows), blocks, { ...quantized, transposed: true });
  const product = { batch: 1, m: rows, n: 77, k: columns, batchA: true, batchB: true };
  const flat = { ...product, transposeA: false, transposeB: false };
  kernels.matmulAccumulate!(sums.denseSum, x, random(columns * 77), flat);
  const storages: Record<string, Storage> = {
    ...sums,
    exp: kernels.unary('exp', x, length),
    log: kernels.unary('log', positive(length), length),
    tanh: kernels.unary('tanh', x, length),
    sigmoid: kernels.unary('sigmoid', x, length),
    sum: kernels.reduce('sum', x, 1, length, 1),
    sumOfSquares: kernels.sumOfSquares!([x, small, y], [length, 777, length]),
    matmul: kernels.matmul(x, random(columns * 77), flat),
    matmulQuantized: kernels.matmulQuantized!(random(131 * 288), blocks, { ...quantized, transposed: false }),
    matmulQuantizedTransposed: kernels.matmulQuantized!(random(131 * rows), blocks, { ...quantized, transposed: true }),
    gatherQuantized: kernels.gatherQuantized!(blocks, 'q4_1', rows, 288, integers([3, 210, 3]), 3),
    silu: kernels.silu!(x, length),
    siluBackward: kernels.siluBackward!(x, dy, length),
    swiglu: kernels.swiglu!(x, y, length),
    ...kernels.swigluBackward!(x, y, dy, length),
    softmax: kernels.softmax!(x, rows, columns),
    softmaxBackward: kernels.softmaxBackward!(y, dy, rows, columns),
    rmsNorm: kernels.rmsNorm!(x, weight, rows, columns, 1e-5),
    rmsNormBackward: kernels.rmsNormBackward!(x, weight, dy, rows, columns, 1e-5),
    rmsNormWeightBackward: kernels.rmsNormWeightBackward!(x, dy, rows, columns, 1e-5),
    ropeInterleaved: kernels.rope!(heads, ...tables, { ...turn, pairing: 'interleaved' }),
    ropeHalf: kernels.rope!(heads, ...tables, { ...turn, pairing: 'half' }),
    attention: forward.output,
    attentionLogSumExp: forward.logSumExp,
    ...backward,
    losses: entropy.losses,
    logSumExp: entropy.logSumExp,
    crossEntropyBackward: kernels.crossEntropyBackward!(x, targets, entropy.logSumExp, random(rows), rows, columns),
    dropout: kernels.dropout!(x, { rows, columns, probability: 0.3, key: [1, 2], stream: [3, 4] }),
    parameter,
    small,
    moments,
    ...coded,
  };
  const results: Results = {};
  for (const [name, storage] of Object.entries(storages)) results[name] = await backend.read(storage);
  return results;
}

describe('every fused engine gives the same bits with any number of threads', () => {
  const started: CpuBackend[] = [];
  const reference = cpu({ threads: 1 }).then((backend) => {
    started.push(backend);
    return everyKernel(backend);
  });
  afterAll(() => Promise.all(started.map((backend) => backend.dispose())));

  for (const options of engineOptions) {
    for (const threads of [1, 2, 3]) {
      it(`${options.instructionSet ?? options.engine}, ${threads} threads`, async ({ skip }) => {
        const backend = await start({ ...options, threads });
        if (backend === undefined) return skip('does not run on this machine');
        if (!backend.supports.fusedMultiplyAdd) return skip('has no fused multiply-add, as its manifest says');
        const [expected, actual] = [await reference, await everyKernel(backend)];
        expect(Object.keys(actual)).toEqual(Object.keys(expected));
        for (const [name, values] of Object.entries(expected)) expectSameNumbers(actual[name]!, values, name);
      });
    }
  }

  async function start(options: CpuOptions): Promise<CpuBackend | undefined> {
    const backend = await cpu(options).catch(() => undefined);
    if (backend !== undefined) started.push(backend);
    return backend;
  }
});

it('baseline WebAssembly gives the same bits with any number of threads', async () => {
  const results: Results[] = [];
  for (const threads of [1, 3]) {
    const backend = await cpu({ engine: 'wasm-baseline', threads });
    results.push(await everyKernel(backend));
    await backend.dispose();
  }
  for (const [name, values] of Object.entries(results[0]!)) expectSameNumbers(results[1]![name]!, values, name);
});
