/** Operands larger than one binding go through several: fused kernels give the same bits as with one. */
import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import {
  dynamicMap,
  encodeArray,
  quantize4bit,
  unsignedDynamicMap,
  type Storage,
  type TypedArray,
} from '@lowrank/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const limit = 65_536;

let whole: WebgpuBackend;
let parted: WebgpuBackend;

beforeAll(async () => {
  whole = await webgpu();
  parted = await webgpu({ bindingLimit: limit });
});

afterAll(async () => {
  await whole.dispose();
  await parted.dispose();
});

const values = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((i * 7919 + seed * 104_729) % 2003) / 1001.5 - 1);

const floats = (backend: WebgpuBackend, length: number, seed: number): Storage =>
  backend.upload(values(length, seed), 'f32');

type Run = (backend: WebgpuBackend) => Storage[];

/** A step in place, and what it has changed. */
function step8bit(backend: WebgpuBackend, length: number): Storage[] {
  const upload = (data: Float32Array): Storage => backend.upload(data, 'f32');
  const codes = (seed: number): Storage => {
    const words = Int32Array.from({ length: Math.ceil(length / 4) }, (_, i) => Math.imul(i + seed, 0x9e3779b1));
    return backend.upload(words, 'i32');
  };
  const scales = (seed: number): Storage =>
    upload(values(Math.ceil(length / 256), seed).map((value) => Math.abs(value) + 0.01));
  const [parameter, gradient] = [floats(backend, length, 11), floats(backend, length, 12)];
  const state = { firstCodes: codes(1), firstAbsmax: scales(13), secondCodes: codes(2), secondAbsmax: scales(14) };
  const maps = upload(Float32Array.from([...dynamicMap(), ...unsignedDynamicMap()]));
  backend.kernels.adamw8bit!([{ parameter, gradient, length, ...state }], maps, upload(Float32Array.of(0.5)), step);
  return [parameter, ...Object.values(state)];
}

const step = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  correction1: 0.3,
  correction2: 0.03,
};

/** The same of several parameters whose moments lie in one storage. */
function stepOfSeveral(backend: WebgpuBackend, lengths: readonly number[]): Storage[] {
  let row = 0;
  const operands = lengths.map((length, i) => {
    const at = row;
    row += Math.ceil(length / 16) * 16;
    return { parameter: floats(backend, length, i), gradient: floats(backend, length, i + 20), length, at };
  });
  const moments = backend.upload(values(2 * row, 40).map(Math.abs), 'f32');
  backend.kernels.adamw!(operands, moments, backend.upload(Float32Array.of(0.5), 'f32'), step);
  return [moments, ...operands.map(({ parameter }) => parameter)];
}

/** The largest operand of each is 1.1 to 2.1 windows. */
const cases: readonly [name: string, run: Run][] = [
  ...(['q8_0', 'q4_1', 'f16'] as const).flatMap((format): [string, Run][] => {
    const [rows, columns] = format === 'f16' ? [150, 256] : format === 'q8_0' ? [260, 320] : [450, 320];
    const { data } = encodeArray(values(rows * columns, 1), [rows, columns], format);
    const weight = (backend: WebgpuBackend): Storage =>
      backend.uploadBlocks(data as Uint8Array, format, [rows, columns]);
    const product = (m: number, transposed: boolean) => (backend: WebgpuBackend) => [
      backend.kernels.matmulQuantized!(floats(backend, m * (transposed ? rows : columns), 2), weight(backend), {
        format,
        m,
        rows,
        columns,
        transposed,
      }),
    ];
    return [
      [`matmulQuantized, ${format}, one row`, product(1, false)],
      [`matmulQuantized, ${format}`, product(5, false)],
      [`matmulQuantized, ${format}, toward x`, product(5, true)],
      [
        `gatherQuantized, ${format}`,
        (backend) => {
          const indices = Int32Array.of(rows - 1, 0, rows >> 1, 3);
          const list = backend.upload(indices, 'i32');
          return [backend.kernels.gatherQuantized!(weight(backend), format, rows, columns, list, indices.length)];
        },
      ],
    ];
  }),
  [
    'matmulQuantized, nf4 with x and y in parts',
    (backend) => {
      const [m, rows, columns] = [80, 260, 512];
      const { data } = quantize4bit(values(rows * columns, 3), [rows, columns]);
      const weight = backend.uploadBlocks(data, 'nf4', [rows, columns]);
      const spec = { format: 'nf4', m, rows, columns } as const;
      const y = backend.kernels.matmulQuantized!(floats(backend, m * columns, 4), weight, {
        ...spec,
        transposed: false,
      });
      return [y, backend.kernels.matmulQuantized!(y, weight, { ...spec, transposed: true })];
    },
  ],
  [
    'crossEntropy and its gradient',
    (backend) => {
      const [rows, columns] = [17, 1031];
      const logits = floats(backend, rows * columns, 5);
      const targets = backend.upload(
        Int32Array.from({ length: rows }, (_, i) => (i * 61) % columns),
        'i32',
      );
      const { losses, logSumExp } = backend.kernels.crossEntropy!(logits, targets, rows, columns);
      const dLosses = floats(backend, rows, 6);
      return [
        losses,
        logSumExp,
        backend.kernels.crossEntropyBackward!(logits, targets, logSumExp, dLosses, rows, columns),
      ];
    },
  ],
  [
    'softmax and its gradient',
    (backend) => {
      const [rows, columns] = [34, 512];
      const y = backend.kernels.softmax!(floats(backend, rows * columns, 7), rows, columns);
      return [y, backend.kernels.softmaxBackward!(y, floats(backend, rows * columns, 8), rows, columns)];
    },
  ],
  [
    'rmsNorm, swiglu and dropout',
    (backend) => {
      const [rows, columns] = [34, 516];
      const x = floats(backend, rows * columns, 9);
      const y = backend.kernels.rmsNorm!(x, floats(backend, columns, 10), rows, columns, 1e-5);
      const gated = backend.kernels.swiglu!(x, y, rows * columns);
      const spec = { rows, columns, probability: 0.3, key: [1, 2], stream: [3, 4] } as const;
      return [y, gated, backend.kernels.dropout!(gated, spec)];
    },
  ],
  ...[
    [20_000, 64, 64, 64, 64],
    [5, 9000, 17_001, 3, 1, 2, 3, 4],
  ].map((lengths): [string, Run] => [`adamw, ${lengths.join(', ')}`, (backend) => stepOfSeveral(backend, lengths)]),
  ...[
    [20_000, 64, 34_000, 16, 4, 4, 4, 4, 4, 4, 4, 4],
    [33_999, 64, 19_001, 5, 1],
  ].map((lengths): [string, Run] => [
    `sumOfSquares, ${lengths.join(', ')}`,
    (backend) => {
      const parts = lengths.map((length, i) => floats(backend, length, i));
      return [backend.kernels.sumOfSquares!(parts, lengths)];
    },
  ]),
  ...[34_000, 33_999].map((length): [string, Run] => [`adamw8bit, ${length}`, (backend) => step8bit(backend, length)]),
];

async function results(backend: WebgpuBackend, run: Run): Promise<TypedArray[]> {
  return Promise.all(run(backend).map((storage) => backend.read(storage)));
}

describe('operands of more than one binding', () => {
  it.each(cases)('%s', async (_, run) => {
    expect(await results(parted, run)).toEqual(await results(whole, run));
  });

  it('attention of more queries than a binding holds is refused where the device has no bindings left', async () => {
    const [tokens, heads, headSize] = [140, 2, 64];
    const length = tokens * heads * headSize;
    const narrow = await webgpu({ bindingLimit: limit, limits: 'default' });
    const [q, k, v, y, dy] = [1, 2, 3, 4, 5].map((seed) => floats(narrow, length, seed)) as [
      Storage,
      Storage,
      Storage,
      Storage,
      Storage,
    ];
    const segments = Int32Array.of(0, tokens, 0, tokens);
    const spec = { queries: tokens, keys: tokens, heads, kvHeads: heads, headSize, scale: 0.125, segments };
    const kept = floats(narrow, tokens * heads, 6);
    expect(() => narrow.kernels.attentionBackward!(q, k, v, y, kept, dy, spec)).toThrow(
      expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'attentionBackward' }),
    );
    await narrow.dispose();
  });

  it('adamw8bit needs all bindings that every device has: a larger parameter is refused there, a smaller one is not', async () => {
    await using narrow = await webgpu({ bindingLimit: limit, limits: 'default' });
    expect(() => step8bit(narrow, 17_000)).toThrow(
      expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'adamw8bit' }),
    );
    const run: Run = (backend) => step8bit(backend, limit / 4);
    expect(await results(narrow, run)).toEqual(await results(whole, run));
  });
});
