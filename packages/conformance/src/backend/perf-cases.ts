/**
 * What mode `perf` times: each kernel once or twice, in the sizes that training SmolLM2-135M calls it with (576 wide,
 * 1536 inside, 9 heads of 64 on 3, a vocabulary cut to 8,192) on 256 tokens.
 */
import { dynamicMap, unsignedDynamicMap } from '@lowrank/core';
import type { AdamWSpec, AttentionSpec, BlockFormat, MatmulSpec, QuantizedMatmulSpec } from '@lowrank/core';
import type { Case, Input } from './case.ts';
import { integers, uniform } from './inputs.ts';
import { randomBlocks } from './quantized-bytes.ts';

export interface PerfCase extends Pick<Case, 'kernel' | 'name' | 'inputs' | 'run'> {
  /** Multiplications and additions, where they are what takes the time. */
  readonly flops?: number;
  /** Bytes that must be moved at the least. Default: operands and results, once each. */
  readonly bytes?: number;
}

const [tokens, width, inner, heads, kvHeads, headSize, vocabulary] = [256, 576, 1536, 9, 3, 64, 8192];
const length = tokens * inner;

const step: AdamWSpec = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  correction1: 0.5,
  correction2: 0.5,
};

const floats = (name: string, ...shape: number[]): Input => ({
  name,
  data: uniform(
    `perf ${name}`,
    shape.reduce((size, axis) => size * axis, 1),
  ),
});

function elementwise(): PerfCase[] {
  const [x, y, z] = [floats('x', length), floats('y', length), floats('z', length)];
  const name = `${length}`;
  return [
    { kernel: 'unary', name: `exp, ${name}`, inputs: [x], run: (k, [a]) => [k.unary('exp', a!, length)] },
    { kernel: 'unary', name: `neg, ${name}`, inputs: [x], run: (k, [a]) => [k.unary('neg', a!, length)] },
    {
      kernel: 'binary',
      name: `add, ${name}`,
      inputs: [x, y],
      run: (k, [a, b]) => [k.binary('add', a!, [length], b!, [length])],
    },
    {
      kernel: 'binary',
      name: `mul, [${tokens}, ${inner}] with [1, ${inner}]`,
      inputs: [x, floats('row', inner)],
      run: (k, [a, b]) => [k.binary('mul', a!, [tokens, inner], b!, [1, inner])],
    },
    {
      kernel: 'where',
      name,
      inputs: [z, x, y],
      run: (k, [c, a, b]) => [k.where(c!, [length], a!, [length], b!, [length], [length])],
    },
    { kernel: 'fill', name, inputs: [], run: (k) => [k.fill(0, length, 'f32')] },
    { kernel: 'cast', name: `f32 to i32, ${name}`, inputs: [x], run: (k, [a]) => [k.cast(a!, length, 'i32')] },
    {
      kernel: 'accumulate',
      name,
      inputs: [x, y],
      run: (k, [a, b]) => inPlace(() => k.accumulate(a!, b!, length)),
      bytes: 3 * 4 * length,
    },
    { kernel: 'silu', name, inputs: [x], run: (k, [a]) => [k.silu(a!, length)] },
    { kernel: 'siluBackward', name, inputs: [x, y], run: (k, [a, b]) => [k.siluBackward(a!, b!, length)] },
    { kernel: 'swiglu', name, inputs: [x, y], run: (k, [a, b]) => [k.swiglu(a!, b!, length)] },
    {
      kernel: 'swigluBackward',
      name,
      inputs: [x, y, z],
      run: (k, [a, b, c]) => Object.values(k.swigluBackward(a!, b!, c!, length)),
    },
    {
      kernel: 'dropout',
      name: `[${tokens}, ${inner}]`,
      inputs: [x],
      run: (k, [a]) => [k.dropout(a!, { rows: tokens, columns: inner, probability: 0.1, key: [1, 2], stream: [3, 4] })],
    },
  ];
}

function layout(): PerfCase[] {
  const x = floats('x', tokens, inner);
  const indices = { name: 'indices', data: integers('perf indices', tokens, vocabulary) };
  const rows = 2 * 4 * tokens * width;
  return [
    {
      kernel: 'reduce',
      name: `sum of rows, [${tokens}, ${inner}]`,
      inputs: [x],
      run: (k, [a]) => [k.reduce('sum', a!, tokens, inner, 1)],
    },
    {
      kernel: 'reduce',
      name: `sum of columns, [${tokens}, ${inner}]`,
      inputs: [x],
      run: (k, [a]) => [k.reduce('sum', a!, 1, tokens, inner)],
    },
    {
      kernel: 'permute',
      name: `[${tokens}, ${inner}] transposed`,
      inputs: [x],
      run: (k, [a]) => [k.permute(a!, [tokens, inner], [1, 0])],
    },
    {
      kernel: 'slice',
      name: `half of [${tokens}, ${inner}]`,
      inputs: [x],
      run: (k, [a]) => [k.slice(a!, [tokens, inner], [0, inner / 2], [tokens, inner / 2])],
      bytes: 4 * length,
    },
    {
      kernel: 'writeSlice',
      name: `half of [${tokens}, ${inner}]`,
      inputs: [x, floats('half', tokens, inner / 2)],
      run: (k, [a, b]) => inPlace(() => k.writeSlice(a!, [tokens, inner], b!, [0, inner / 2], [tokens, inner / 2])),
      bytes: 4 * length,
    },
    {
      kernel: 'concat',
      name: `twice [${tokens}, ${inner}]`,
      inputs: [x, x],
      run: (k, [a, b]) => [k.concat([a!, b!], tokens, [inner, inner], 1)],
    },
    {
      kernel: 'gather',
      name: `${tokens} of [${vocabulary}, ${width}]`,
      inputs: [floats('table', vocabulary, width), indices],
      run: (k, [table, index]) => [k.gather(table!, vocabulary, width, index!, tokens)],
      bytes: rows,
    },
    {
      kernel: 'scatterAdd',
      name: `${tokens} of [${vocabulary}, ${width}]`,
      inputs: [floats('source', tokens, width), indices],
      run: (k, [source, index]) => [k.scatterAdd(source!, index!, tokens, vocabulary, width)],
    },
  ];
}

function products(): PerfCase[] {
  const spec = (m: number, n: number, k: number, transposeA: boolean, transposeB: boolean): MatmulSpec => ({
    batch: 1,
    m,
    n,
    k,
    transposeA,
    transposeB,
    batchA: false,
    batchB: false,
  });
  const dense = (title: string, s: MatmulSpec): PerfCase => ({
    kernel: 'matmul',
    name: `${s.m}x${s.k}x${s.n}, ${title}`,
    inputs: [floats('a', s.m, s.k), floats('b', s.k, s.n)],
    run: (k, [a, b]) => [k.matmul(a!, b!, s)],
    flops: 2 * s.m * s.n * s.k,
  });
  return [
    dense('x W^T', spec(tokens, inner, width, false, true)),
    dense('dy W', spec(tokens, width, inner, false, false)),
    dense('dy^T x', spec(inner, 8, tokens, true, false)),
    dense('a low rank', spec(tokens, 8, width, false, true)),
    dense('one token', spec(1, inner, width, false, true)),
    {
      kernel: 'matmulAccumulate',
      name: `${tokens}x8x${width}, a low rank`,
      inputs: [floats('a', tokens, 8), floats('b', 8, width), floats('target', tokens, width)],
      run: (k, [a, b, target]) =>
        inPlace(() => k.matmulAccumulate(target!, a!, b!, spec(tokens, 8, width, false, true))),
      flops: 2 * tokens * width * 8,
    },
  ];
}

function quantized(format: BlockFormat): PerfCase[] {
  // K-quants have blocks of 256, so the rows are the longer side.
  const [rows, columns] = [width, inner];
  const weight: Input = {
    name: 'weight',
    format,
    shape: [rows, columns],
    data: randomBlocks(`perf ${format}`, format, rows, columns),
  };
  const product = (m: number, transposed: boolean): PerfCase => {
    const spec: QuantizedMatmulSpec = { format, m, rows, columns, transposed };
    return {
      kernel: 'matmulQuantized',
      name: `${format} [${rows}, ${columns}] with ${m}${transposed ? ', toward x' : ''}`,
      inputs: [floats('x', m, transposed ? rows : columns), weight],
      run: (k, [x, w]) => [k.matmulQuantized(x!, w!, spec)],
      flops: 2 * m * rows * columns,
    };
  };
  return [
    product(tokens, false),
    product(tokens, true),
    product(1, false),
    {
      kernel: 'matmulQuantizedAccumulate',
      name: `${format} [${rows}, ${columns}] with ${tokens}, toward x`,
      inputs: [floats('x', tokens, rows), weight, floats('target', tokens, columns)],
      run: (k, [x, w, target]) =>
        inPlace(() =>
          k.matmulQuantizedAccumulate(target!, x!, w!, { format, m: tokens, rows, columns, transposed: true }),
        ),
      flops: 2 * tokens * rows * columns,
    },
    {
      kernel: 'gatherQuantized',
      name: `${format}, ${tokens} of [${rows}, ${columns}]`,
      inputs: [weight, { name: 'indices', data: integers('perf quantized indices', tokens, rows) }],
      run: (k, [table, index]) => [k.gatherQuantized(table!, format, rows, columns, index!, tokens)],
      bytes: Math.ceil((tokens * weight.data.byteLength) / rows) + 4 * tokens * columns,
    },
  ];
}

function rows(): PerfCase[] {
  const shape = `[${tokens}, ${width}]`;
  const [x, dy, weight] = [floats('x', tokens, width), floats('dy', tokens, width), floats('weight', width)];
  const square = `[${heads * tokens}, ${tokens}]`;
  const scores = floats('scores', heads * tokens, tokens);
  const logits = floats('logits', tokens, vocabulary);
  const targets = { name: 'targets', data: integers('perf targets', tokens, vocabulary) };
  const pairs = headSize / 2;
  const rope = {
    tokens,
    heads,
    headSize,
    rotary: headSize,
    pairing: 'half',
    tableRows: tokens,
    inverse: false,
  } as const;
  return [
    { kernel: 'softmax', name: square, inputs: [scores], run: (k, [a]) => [k.softmax(a!, heads * tokens, tokens)] },
    {
      kernel: 'softmaxBackward',
      name: square,
      inputs: [scores, scores],
      run: (k, [y, d]) => [k.softmaxBackward(y!, d!, heads * tokens, tokens)],
    },
    {
      kernel: 'rmsNorm',
      name: shape,
      inputs: [x, weight],
      run: (k, [a, w]) => [k.rmsNorm(a!, w!, tokens, width, 1e-5)],
    },
    {
      kernel: 'rmsNormBackward',
      name: shape,
      inputs: [x, weight, dy],
      run: (k, [a, w, d]) => [k.rmsNormBackward(a!, w!, d!, tokens, width, 1e-5)],
    },
    {
      kernel: 'rmsNormWeightBackward',
      name: shape,
      inputs: [x, dy],
      run: (k, [a, d]) => [k.rmsNormWeightBackward(a!, d!, tokens, width, 1e-5)],
    },
    {
      kernel: 'rope',
      name: shape,
      inputs: [
        x,
        floats('cos', tokens, pairs),
        floats('sin', tokens, pairs),
        { name: 'positions', data: Int32Array.from({ length: tokens }, (_, i) => i) },
      ],
      run: (k, [a, c, s, at]) => [k.rope(a!, c!, s!, at!, rope)],
    },
    {
      kernel: 'crossEntropy',
      name: `[${tokens}, ${vocabulary}]`,
      inputs: [logits, targets],
      run: (k, [a, t]) => Object.values(k.crossEntropy(a!, t!, tokens, vocabulary)),
    },
    {
      kernel: 'crossEntropyBackward',
      name: `[${tokens}, ${vocabulary}]`,
      inputs: [logits, targets, floats('logSumExp', tokens), floats('dLosses', tokens)],
      run: (k, [a, t, l, d]) => [k.crossEntropyBackward(a!, t!, l!, d!, tokens, vocabulary)],
    },
    {
      kernel: 'sumOfSquares',
      name: `420 of ${8 * width}`,
      inputs: Array.from({ length: 420 }, (_, i) => {
        return { name: `parts[${i}]`, data: uniform(`perf ${i}`, 8 * width) };
      }),
      run: (k, parts) => [
        k.sumOfSquares(
          parts,
          parts.map(() => 8 * width),
        ),
      ],
      bytes: 4 * 420 * 8 * width,
    },
    {
      kernel: 'adamw',
      name: `${length}`,
      inputs: [
        { name: 'parameter', data: uniform('perf parameter', length, 0, 1) },
        { name: 'gradient', data: uniform('perf gradient', length, 0, 1) },
        { name: 'moments', data: uniform('perf moments', 2 * length, 0, 1) },
        { name: 'gradientScale', data: Float32Array.of(1) },
      ],
      run: (k, [parameter, gradient, moments, scale]) =>
        inPlace(() => k.adamw([{ parameter: parameter!, gradient: gradient!, length, at: 0 }], moments!, scale!, step)),
      bytes: 7 * 4 * length,
    },
    {
      kernel: 'adamw8bit',
      name: `${length}`,
      inputs: [
        { name: 'parameter', data: uniform('perf parameter', length, 0, 1) },
        { name: 'gradient', data: uniform('perf gradient', length, 0, 1) },
        ...['first', 'second'].flatMap((name) => [
          { name: `${name}Codes`, data: new Int32Array(length / 4) },
          { name: `${name}Absmax`, data: uniform(`perf ${name}`, length / 256, 0, 1) },
        ]),
        { name: 'maps', data: Float32Array.from([...dynamicMap(), ...unsignedDynamicMap()]) },
        { name: 'gradientScale', data: Float32Array.of(1) },
      ],
      run(k, [parameter, gradient, firstCodes, firstAbsmax, secondCodes, secondAbsmax, maps, scale]) {
        const state = {
          firstCodes: firstCodes!,
          firstAbsmax: firstAbsmax!,
          secondCodes: secondCodes!,
          secondAbsmax: secondAbsmax!,
        };
        const operands = [{ parameter: parameter!, gradient: gradient!, length, ...state }];
        return inPlace(() => k.adamw8bit(operands, maps!, scale!, step));
      },
      bytes: (3 * 4 + 4) * length,
    },
  ];
}

function attention(): PerfCase[] {
  const spec: AttentionSpec = {
    queries: tokens,
    keys: tokens,
    heads,
    kvHeads,
    headSize,
    scale: 1 / Math.sqrt(headSize),
    segments: Int32Array.of(0, tokens, 0, tokens),
  };
  const name = `${tokens} tokens, ${heads} heads of ${headSize} on ${kvHeads}`;
  const [q, k, v] = [
    floats('q', tokens, heads * headSize),
    floats('k', tokens, kvHeads * headSize),
    floats('v', tokens, kvHeads * headSize),
  ] as const;
  // q k^T and p v: two products over the visible half; backward: five.
  const product = 2 * headSize * heads * ((tokens * (tokens + 1)) / 2);
  return [
    {
      kernel: 'attention',
      name,
      inputs: [q, k, v],
      run: (kernels, [a, b, c]) => Object.values(kernels.attention(a!, b!, c!, spec)),
      flops: 2 * product,
    },
    {
      kernel: 'attentionBackward',
      name,
      inputs: [q, k, v, q, { name: 'logSumExp', data: new Float32Array(tokens * heads).fill(6) }, q],
      run: (kernels, [a, b, c, y, l, dy]) => Object.values(kernels.attentionBackward(a!, b!, c!, y!, l!, dy!, spec)),
      flops: 5 * product,
    },
  ];
}

function inPlace(call: () => void): [] {
  call();
  return [];
}

/** Those of the kernels named; the quantized ones for the formats given. */
export function perfCases(formats: readonly BlockFormat[], ops?: readonly string[]): PerfCase[] {
  return [
    ...elementwise(),
    ...layout(),
    ...products(),
    ...rows(),
    ...attention(),
    ...formats.flatMap((format) => quantized(format)),
  ].filter(({ kernel }) => ops === undefined || ops.includes(kernel));
}
