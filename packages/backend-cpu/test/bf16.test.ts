/** Products whose operands are rounded to bf16, on each instruction set for them that this machine runs. */
import { BackendError, type MatmulSpec } from '@lowrank/core';
import { cpu, type CpuBackend, type CpuOptions } from '@lowrank/backend-cpu';
import { afterAll, describe, expect, it } from 'vitest';
import { expectSameNumbers, finiteBytes, numbers } from './engines.ts';
import { batches, eachElement, transposedEachWay } from './products.ts';

type InstructionSet = NonNullable<CpuOptions['instructionSet']>;

const candidates: readonly InstructionSet[] = ['x86_64_v4_bf16', 'x86_64_v4_amx'];
const open: CpuBackend[] = [];
afterAll(() => Promise.all(open.map((backend) => backend.dispose())));

async function start(options: CpuOptions): Promise<CpuBackend | BackendError> {
  try {
    const backend = await cpu({ productOperands: 'bf16', ...options });
    open.push(backend);
    return backend;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return error;
  }
}

/** Of a machine that has none, the refusal: what it gives instead of a backend is judged below. */
const refusals: BackendError[] = [];
const sets = (
  await Promise.all(
    candidates.map(async (instructionSet) => {
      const backends = [
        await start({ instructionSet, threads: 1 }),
        await start({ instructionSet, threads: 2 }),
      ] as const;
      for (const backend of backends) if (backend instanceof BackendError) refusals.push(backend);
      return { instructionSet, backends };
    }),
  )
).filter((set): set is { instructionSet: InstructionSet; backends: [CpuBackend, CpuBackend] } =>
  set.backends.every((backend) => !(backend instanceof BackendError)),
);
if (sets.length < candidates.length) {
  console.warn(`bf16 products: only the refusal is tested of ${refusals.map(({ value }) => String(value)).join(', ')}`);
}

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);
/** To bfloat16 and back: the upper 16 bits, rounded to nearest, ties to even. */
function toBf16(x: number): number {
  word[0] = x;
  const low = bits[0]! & 0xffff;
  const odd = (bits[0]! >>> 16) & 1;
  bits[0] = (bits[0]! & 0xffff0000) + (low > 0x8000 || (low === 0x8000 && odd === 1) ? 0x10000 : 0);
  return word[0];
}

/**
 * Holds every element against the sum in float64 of the rounded operands. A product of two bf16 is exact in f32, so only additions round,
 * to nearest, by 2^-24 of a partial sum, which the magnitudes of the terms bound. From a term to the sum lead at most
 * k + 1 of them: AMX adds up even and odd steps apart, joins the two, and adds that to what was there, a target's number like the
 * others (as many blocks have as many such additions, of which there are fewer than terms). Second-order terms are
 * less than 1 % while k < 10^5.
 */
function expectSums(
  actual: ArrayLike<number>,
  a: Float32Array,
  b: Float32Array,
  spec: MatmulSpec,
  target?: Float32Array,
): void {
  const { batch, m, n, k } = spec;
  expect(actual.length).toBe(batch * m * n);
  eachElement(a.map(toBf16), b.map(toBf16), spec, (at, row, column) => {
    let sum = target?.[at] ?? 0;
    let magnitude = Math.abs(sum);
    for (let l = 0; l < k; l++) {
      const term = row[l]! * column[l]!;
      sum += term;
      magnitude += Math.abs(term);
    }
    const bound = 1.01 * (k + 1) * 2 ** -24 * magnitude;
    if (!(Math.abs(actual[at]! - sum) <= bound)) {
      throw new Error(`element ${at} is ${actual[at]}, not ${sum} within ${bound}`);
    }
  });
}

async function product(backend: CpuBackend, a: Float32Array, b: Float32Array, spec: MatmulSpec, target?: Float32Array) {
  const operands = [backend.upload(a, 'f32'), backend.upload(b, 'f32')] as const;
  const c = target === undefined ? backend.kernels.matmul(...operands, spec) : backend.upload(target, 'f32');
  if (target !== undefined) backend.kernels.matmulAccumulate!(c, ...operands, spec);
  const values = (await backend.read(c)) as Float32Array;
  for (const storage of [...operands, c]) backend.free(storage);
  return values;
}

const shapes = [
  { m: 1, n: 1, k: 1 },
  { m: 1, n: 77, k: 700 },
  { m: 5, n: 8, k: 17 },
  { m: 13, n: 31, k: 0 },
  { m: 7, n: 65, k: 257 },
  { m: 64, n: 32, k: 32 },
  { m: 131, n: 8, k: 521 },
  { m: 41, n: 211, k: 29 },
  { m: 96, n: 160, k: 1290 },
  { m: 1061, n: 97, k: 8 },
];

describe.each(sets)('$instructionSet', ({ instructionSet, backends }) => {
  const [one, two] = backends;

  it('says what it is', () => {
    expect(one.engine).toBe(`native ${instructionSet}`);
    expect(one.supports.productOperands).toBe('bf16');
  });

  for (const { name, spec, operands } of [...transposedEachWay(shapes), ...batches({ m: 140, n: 91, k: 19 })]) {
    it(`${name}: f32 sums of the rounded operands, with the same bits on 1 and 2 threads`, async () => {
      const [a, b] = operands();
      const sums = await product(one, a, b, spec);
      expectSums(sums, a, b, spec);
      expectSameNumbers(await product(two, a, b, spec), sums, '2 threads');
      const target = numbers(sums.length, 99);
      const added = await product(one, a, b, spec, target);
      expectSums(added, a, b, spec, target);
      expectSameNumbers(await product(two, a, b, spec, target), added, '2 threads, added to a target');
    });
  }

  it('ties go to even, and what is next to a tie does not', async () => {
    const spec = { batch: 1, m: 1, n: 1, k: 1, transposeA: false, transposeB: false, batchA: true, batchB: true };
    const values = [
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
      1 + 2 ** -8 + 2 ** -23,
      -1 - 2 ** -8,
      3.0e38,
      Infinity,
      -Infinity,
      NaN,
    ];
    const rounded = [1, 1 + 2 ** -6, 1 + 2 ** -7, -1, toBf16(3.0e38), Infinity, -Infinity, NaN];
    for (const [i, value] of values.entries()) {
      expect(await product(one, Float32Array.of(value), Float32Array.of(1), spec)).toEqual(
        Float32Array.of(rounded[i]!),
      );
      expect(await product(one, Float32Array.of(1), Float32Array.of(value), spec)).toEqual(
        Float32Array.of(rounded[i]!),
      );
    }
  });

  it('a row has the same bits alone as among others', async () => {
    const [m, n, k] = [150, 70, 700];
    const [a, b] = [numbers(m * k, 5), numbers(n * k, 6)];
    const spec = { batch: 1, m, n, k, transposeA: false, transposeB: true, batchA: true, batchB: true };
    const all = await product(two, a, b, spec);
    for (const row of [0, 77, 149]) {
      const alone = await product(two, a.slice(row * k, (row + 1) * k), b, { ...spec, m: 1 });
      expectSameNumbers(alone, all.slice(row * n, (row + 1) * n), `row ${row}`);
    }
  });

  for (const transposed of [false, true]) {
    it(`matmulQuantized${transposed ? ', transposed,' : ''} has the bits of a matmul with the decoded matrix`, async () => {
      // [bytes of a block, elements of a block]; bf16 has blocks of one.
      for (const [format, bytes, elements] of [
        ['q8_0', 34, 32],
        ['q4_0', 18, 32],
        ['q4_k', 144, 256],
        ['bf16', 2, 1],
      ] as const) {
        const [m, rows, columns] = format === 'bf16' ? [9, 53, 71] : [67, 96, 1280];
        const x = numbers(m * (transposed ? rows : columns), 7);
        const blocks = finiteBytes((rows * columns * bytes) / elements, 8);
        const weight = one.uploadBlocks(blocks, format, [rows, columns]);
        const indices = one.upload(
          Int32Array.from({ length: rows }, (_, i) => i),
          'i32',
        );
        const dense = (await one.read(
          one.kernels.gatherQuantized!(weight, format, rows, columns, indices, rows),
        )) as Float32Array;
        const [n, k] = transposed ? [columns, rows] : [rows, columns];
        const spec = { batch: 1, m, n, k, transposeA: false, transposeB: !transposed, batchA: true, batchB: true };
        const expected = await product(one, x, dense, spec);
        for (const backend of backends) {
          const operands = [backend.upload(x, 'f32'), backend.uploadBlocks(blocks, format, [rows, columns])] as const;
          const y = backend.kernels.matmulQuantized!(...operands, { format, m, rows, columns, transposed });
          expectSameNumbers(await backend.read(y), expected, `${format}, ${backend.threads} threads`);
        }
      }
    });
  }
});

it('a machine without such instructions, and WebAssembly, refuse and say what is missing', async () => {
  for (const { code, message } of refusals) {
    expect(code).toBe('BACKEND_NOT_AVAILABLE');
    expect(message).toMatch(/avx512_bf16|does not run the instruction set|native engine cannot be used/);
  }
  for (const engine of ['wasm', 'wasm-baseline', 'wasm-unshared'] as const) {
    const refusal = await start({ engine });
    expect(refusal).toMatchObject({
      code: 'BACKEND_NOT_AVAILABLE',
      message: expect.stringContaining("bf16 products are the native engine's alone"),
    });
  }
  const refusal = await start({ instructionSet: 'x86_64_v3' });
  expect(refusal).toMatchObject({ code: 'BACKEND_NOT_AVAILABLE' });
  await expect(cpu({ productOperands: 'f8' as 'bf16' })).rejects.toMatchObject({ code: 'BACKEND_ARGUMENT' });
});
