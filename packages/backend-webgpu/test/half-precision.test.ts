/** Products in half precision, where the user asks for it: their numbers, and that devices with f16 take their programs. */
import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import { backendConformance } from '@lowrank/conformance';
import { byteLengthOf, decodeArray, encodeArray, isFourBitFormat, quantize4bit } from '@lowrank/core';
import type { BlockFormat, HostArray, MatmulSpec, QuantizedMatmulSpec, Storage } from '@lowrank/core';
import { afterAll, describe, expect, it } from 'vitest';
import type { Call, Device } from '../src/device.ts';
import { wgslOf, type Program } from '../src/device/program.ts';
import { matmul } from '../src/kernels/matmul.ts';
import { matmulQuantized } from '../src/kernels/matmul-quantized.ts';
import { blockFormatsOfKernels } from '../src/kernels/index.ts';
import type { PanelType } from '../src/wgsl/panels.ts';
import { halfPrecision, nullAdapter, withoutFeature } from './support/half-precision.ts';

/** Every shape of tile, all transposes, rows of whole vectors and not. */
const products: readonly MatmulSpec[] = [
  [16, 68, 64],
  [67, 16, 64],
  [33, 31, 40],
  [67, 66, 33],
].flatMap(([m, n, k]) =>
  [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => {
      return { batch: 1, m: m!, n: n!, k: k!, transposeA, transposeB, batchA: false, batchB: false };
    }),
  ),
);

/** Every format, both directions, few rows and many, rows of whole groups of 16 and (where there can be) not. */
const quantizedProducts: readonly QuantizedMatmulSpec[] = blockFormatsOfKernels.flatMap((format) =>
  [5, 35].flatMap((m) =>
    [false, true].flatMap((transposed) =>
      (isLoose(format) ? [256, 43] : [256]).map((columns) => ({ format, m, rows: 33, columns, transposed })),
    ),
  ),
);

function isLoose(format: BlockFormat): boolean {
  return isFourBitFormat(format) || format === 'f16' || format === 'bf16';
}

/** The programs that these products run, as WGSL. */
function programsOf(panels: PanelType): string[] {
  const found: string[] = [];
  const storage = {} as Storage;
  const device: Pick<Device, 'output' | 'list' | 'panels' | 'run'> = {
    panels,
    output: () => storage,
    list: () => storage,
    run(program: Program, { constants = {} }: Call) {
      const windows = Object.keys(program.operands).map(() => ({ count: 1, elements: 1 }));
      found.push(wgslOf(program, constants, windows));
    },
  };
  for (const spec of products) matmul(device as Device)(storage, storage, spec);
  for (const spec of quantizedProducts) matmulQuantized(device as Device)(storage, storage, spec);
  return found;
}

describe('programs', () => {
  /** Without what makes and undoes halves, and the brackets around what they convert. */
  const bare = (wgsl: string): string =>
    wgsl
      .replace('enable f16;\n', '')
      .replace(/\nfn nearestHalf[^}]*}\n/, '')
      .replaceAll(/nearestHalf|quantizeToF16|vec4h|vec4f|[()]/g, '');

  it('know nothing of half precision where nobody asked for it', () => {
    for (const wgsl of programsOf('f32')) expect(wgsl).not.toMatch(/f16;|quantizeToF16|nearestHalf|vec4h/);
  });

  it('differ in the conversions alone, into panels and out of them', () => {
    const plain = programsOf('f32').map(bare);
    expect(programsOf('f16').map(bare)).toEqual(plain);
    expect(programsOf('f16 in f32').map(bare)).toEqual(plain);
  });

  it('hold both panels in half of the memory', () => {
    for (const wgsl of programsOf('f16')) {
      expect(wgsl).toMatch(/^enable f16;/);
      const panels = [...wgsl.matchAll(/var<workgroup> (?:panel[AB]|[xw]s): array<(\w+)/g)];
      expect(panels.map(([, element]) => element)).toEqual(['vec4h', 'vec4h']);
    }
  });
});

describe('numbers', () => {
  const made = halfPrecision();
  afterAll(async () => (await made).dispose());
  const numbers = (length: number, seed: number): Float32Array =>
    Float32Array.from({ length }, (_, i) => Math.sin(seed + i * i));
  const halves = (x: Float32Array): Float32Array => Float32Array.from(new Float16Array(x));

  /** Sums of k products in f32 (`gamma`): the operands' rounding, 2^-11, is in the expected numbers. */
  function expectSums(got: ArrayLike<number>, expected: readonly [sum: number, size: number][], k: number): void {
    expect(got.length).toBe(expected.length);
    for (const [i, [sum, size]] of expected.entries()) {
      expect(Math.abs(got[i]! - sum)).toBeLessThanOrEqual(1.01 * k * 2 ** -24 * size);
    }
  }

  /** y = x w, by their elements. */
  function product(
    m: number,
    n: number,
    k: number,
    x: (row: number, at: number) => number,
    w: (at: number, column: number) => number,
  ): [number, number][] {
    return Array.from({ length: m * n }, (_, i) => {
      let [sum, size] = [0, 0];
      for (let at = 0; at < k; at++) {
        const term = x(Math.floor(i / n), at) * w(at, i % n);
        sum += term;
        size += Math.abs(term);
      }
      return [sum, size];
    });
  }

  it('are sums in f32 of products of operands rounded to nearest: matmul', async () => {
    const backend = await made;
    for (const spec of products) {
      const { m, n, k, transposeA, transposeB } = spec;
      const [a, b] = [numbers(m * k, 1), numbers(k * n, 2)];
      const [p, q] = [halves(a), halves(b)];
      const y = backend.kernels.matmul(backend.upload(a, 'f32'), backend.upload(b, 'f32'), spec);
      const left = (row: number, at: number): number => p[transposeA ? at * m + row : row * k + at]!;
      const right = (at: number, column: number): number => q[transposeB ? column * k + at : at * n + column]!;
      expectSums(await backend.read(y), product(m, n, k, left, right), k);
    }
  });

  it.each(['q8_0', 'q4_0', 'nf4'] as const)('and of decoded weights: %s', async (format) => {
    const backend = await made;
    const [rows, columns] = [33, 64];
    const shape = [rows, columns] as const;
    const values = numbers(rows * columns, 3);
    const array: HostArray =
      format === 'nf4' ? quantize4bit(values, shape, { format }) : encodeArray(values, shape, format);
    const weight = halves(Float32Array.from(decodeArray(array)));
    for (const transposed of [false, true]) {
      const [m, n, k] = transposed ? [20, columns, rows] : [20, rows, columns];
      const x = numbers(m * k, 4);
      const p = halves(x);
      const blocks = backend.uploadBlocks(array.data as Uint8Array, format, shape);
      const spec = { format, m, rows, columns, transposed };
      const y = backend.kernels.matmulQuantized!(backend.upload(x, 'f32'), blocks, spec);
      const right = (at: number, column: number): number =>
        weight[transposed ? at * columns + column : column * columns + at]!;
      expectSums(
        await backend.read(y),
        product(m, n, k, (row, at) => p[row * k + at]!, right),
        k,
      );
    }
  });

  it('the manifest says so', async () => {
    expect((await made).supports.productOperands).toBe('f16');
  });
});

describe('conformance of what multiplies', () => {
  const chosen = new Set(['matmul', 'matmulQuantized', 'as offered', 'composed of primitives']);
  const path: string[] = [];
  backendConformance(
    {
      describe(name, body) {
        path.push(name);
        body();
        path.pop();
      },
      it(name, run) {
        const own = [...path, name];
        if (own.some((part) => chosen.has(part)) || name === 'leaves nothing behind') it(own.join(' > '), run);
      },
    },
    halfPrecision,
  );
});

describe('a device that has f16', () => {
  /** Runs every product once; what the device says of programs comes with `sync`. */
  async function runAll(backend: WebgpuBackend): Promise<void> {
    const { kernels } = backend;
    for (const spec of products) {
      const { m, n, k } = spec;
      kernels.matmul(kernels.fill(1, m * k, 'f32'), kernels.fill(1, k * n, 'f32'), spec);
    }
    for (const spec of quantizedProducts) {
      const { format, m, rows, columns, transposed } = spec;
      const bytes = isFourBitFormat(format)
        ? quantize4bit(new Float32Array(rows * columns), [rows, columns], { format }).data
        : new Uint8Array(byteLengthOf(format, [rows, columns]));
      const blocks = backend.uploadBlocks(bytes, format, [rows, columns]);
      kernels.matmulQuantized!(kernels.fill(1, m * (transposed ? rows : columns), 'f32'), blocks, spec);
    }
    await backend.sync();
  }

  it('takes the programs', async () => {
    await using backend = await webgpu({ adapter: await nullAdapter(), features: ['shader-f16'] });
    expect(backend.supports.productOperands).toBe('f16');
    await runAll(backend);
    const programs = new Set(programsOf('f16')).size;
    expect(backend.counters().pipelinesCreated).toBeGreaterThanOrEqual(programs);
  });

  it('must have been opened with it', async () => {
    await using backend = await withoutFeature();
    await expect(runAll(backend)).rejects.toMatchObject({
      code: 'BACKEND_KERNEL',
      message: expect.stringContaining("extension 'f16' is not allowed") as unknown,
    });
  });
});
