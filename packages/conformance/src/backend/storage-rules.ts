import { BackendError } from '@lowrank/core';
import type { Backend, BackendErrorCode, TypedArray } from '@lowrank/core';
import { demand, demandClass } from '../conformance-error.ts';
import { integers, ofFewBits, uniform } from './inputs.ts';
import { sameBits } from './operands.ts';
import { blockSizeOf, randomBlocks } from './quantized-bytes.ts';
import type { Rule } from './rules.ts';

/** Runs `body`, then `sync`: a failure may be told at once or with the next read or sync. */
async function demandFailure(
  backend: Backend,
  codes: readonly BackendErrorCode[],
  what: string,
  body: () => unknown,
): Promise<void> {
  let error: unknown;
  try {
    await body();
    await backend.sync();
  } catch (thrown) {
    error = thrown;
  }
  demand(error !== undefined, `${what} must fail`);
  demandClass(error, BackendError, `${what} must fail with a BackendError`);
  demand(codes.includes(error.code), `${what} must fail with ${codes.join(' or ')}, not ${error.code}`, error.code);
}

function demandSame(got: TypedArray, expected: TypedArray, what: string): void {
  const at = [...expected.keys()].find((i) => !Object.is(got[i], expected[i]));
  demand(
    sameBits(got, expected),
    `${what}: element ${at} is ${got[at ?? 0]}, not ${expected[at ?? 0]} (${got.length} elements, expected ${expected.length})`,
  );
}

const square = (n: number) => ({
  batch: 1,
  m: n,
  n,
  k: n,
  transposeA: false,
  transposeB: false,
  batchA: false,
  batchB: false,
});

/** Uploads and reads. */
const copies: readonly Rule[] = [
  {
    name: 'upload has copied when it returns',
    async run(backend) {
      const data = uniform('upload copies', 1031);
      const expected = data.slice();
      const storage = backend.upload(data, 'f32');
      data.fill(7);
      demandSame(await backend.read(storage), toRead(backend, expected), 'uploaded, then changed by the caller');
      backend.free(storage);
    },
  },
  {
    name: 'read gives a copy',
    async run(backend) {
      const storage = backend.upload(Int32Array.of(1, 2, 3), 'i32');
      (await backend.read(storage)).fill(9);
      demandSame(await backend.read(storage), Int32Array.of(1, 2, 3), 'read twice, the first result changed');
      backend.free(storage);
    },
  },
  {
    name: 'f32 and i32 come back bit for bit',
    async run(backend) {
      const floats = Float32Array.of(0, -0, 1, -1, 0.1, 2 ** -126, 3.4028234663852886e38, -16777217, 1e-30);
      const whole = Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 24 + 1, 0x7f800001, 0x7fc00000);
      const words = integers('bits', 4099, 2 ** 31);
      for (const data of [floats, uniform('bits', 4099, -1e6, 1e6), new Float32Array(0)]) {
        const storage = backend.upload(data, 'f32');
        demand(
          storage.dtype === 'f32' && storage.length === data.length,
          'storage has the dtype and length uploaded',
          storage,
        );
        demandSame(await backend.read(storage), toRead(backend, data), 'f32');
        backend.free(storage);
      }
      for (const data of [whole, words, new Int32Array(0)]) {
        const storage = backend.upload(data, 'i32');
        demand(
          storage.dtype === 'i32' && storage.length === data.length,
          'storage has the dtype and length uploaded',
          storage,
        );
        demandSame(await backend.read(storage), data, 'i32');
        backend.free(storage);
      }
    },
  },
  {
    name: 'NaN and infinities come back',
    excuse: ({ supports }) => (supports.nonFinite ? undefined : 'supports.nonFinite is false'),
    async run(backend) {
      const data = Float32Array.of(NaN, Infinity, -Infinity);
      const storage = backend.upload(data, 'f32');
      demandSame(await backend.read(storage), toRead(backend, data), 'not finite');
      backend.free(storage);
    },
  },
  {
    name: 'a Float64Array is rounded to the precision of the backend',
    async run(backend) {
      const data = Float64Array.of(0.1, 1 / 3, -1e-20, 123456789.123);
      const storage = backend.upload(data, 'f32');
      const expected = backend.supports.precision === 'f64' ? data : Float32Array.from(data);
      demandSame(await backend.read(storage), expected, 'uploaded as float64');
      backend.free(storage);
    },
  },
  {
    name: 'blocks come back byte for byte',
    excuse: ({ supports }) => (supports.blockFormats.length === 0 ? 'supports.blockFormats is empty' : undefined),
    async run(backend) {
      for (const format of backend.supports.blockFormats) {
        const blockSize = blockSizeOf(format);
        if (blockSize === undefined) continue;
        const shape = [5, 3 * blockSize] as const;
        const bytes = randomBlocks(`round trip ${format}`, format, ...shape);
        const storage = backend.uploadBlocks!(bytes, format, shape);
        const expected = bytes.slice();
        bytes.fill(0);
        demand(
          storage.dtype === format && storage.length === shape[0] * shape[1],
          `${format}: storage has its dtype and the number of weights`,
          storage,
        );
        demandSame(await backend.read(storage), expected, format);
        backend.free(storage);
      }
    },
  },
];

/** Order of work, frees and uploads. */
const order: readonly Rule[] = [
  {
    name: 'an operand freed while its kernel is queued is still read whole',
    async run(backend) {
      const n = 193;
      const identity = new Float32Array(n * n);
      for (let i = 0; i < n; i++) identity[i * n + i] = 1;
      const data = ofFewBits('freed early', n * n, 5);
      const results = [];
      for (let round = 0; round < 8; round++) {
        const a = backend.upload(
          data.map((value) => value * (round + 1)),
          'f32',
        );
        const b = backend.upload(identity, 'f32');
        results.push(backend.kernels.matmul(a, b, square(n)));
        backend.free(a);
        backend.free(b);
        // What comes next may get their memory, but only after the product.
        backend.free(backend.upload(new Float32Array(n * n).fill(1e9), 'f32'));
      }
      for (const [round, storage] of results.entries()) {
        const expected = data.map((value) => value * (round + 1));
        demandSame(await backend.read(storage), toRead(backend, expected), `product ${round} with the identity`);
        backend.free(storage);
      }
    },
  },
  {
    name: 'a chain of kernels runs in the order of the calls',
    async run(backend) {
      const { kernels } = backend;
      let x = kernels.fill(1, 257, 'f32');
      const one = kernels.fill(1, 257, 'f32');
      for (let i = 0; i < 20; i++) {
        const sum = kernels.binary('add', x, [257], one, [257]);
        const double = kernels.binary('add', sum, [257], sum, [257]);
        for (const storage of [x, sum]) backend.free(storage);
        x = double;
      }
      // x -> 2 (x + 1), twenty times from 1: 3 * 2^20 - 2, exact in float32.
      demandSame(await backend.read(x), toRead(backend, new Float32Array(257).fill(3 * 2 ** 20 - 2)), 'twenty steps');
      backend.free(x);
      backend.free(one);
    },
  },
  {
    name: 'the same kernel twice in a row gives two results',
    async run(backend) {
      const { kernels } = backend;
      const n = 67;
      const [first, second] = [ofFewBits('twice first', n * n, 8), ofFewBits('twice second', n * n, 8)];
      const [a, b] = [backend.upload(first, 'f32'), backend.upload(second, 'f32')];
      const identity = backend.upload(
        Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
        'f32',
      );
      const calls: readonly ((x: typeof a) => typeof a)[] = [
        (x) => kernels.unary('neg', kernels.unary('neg', x, n * n), n * n),
        (x) => kernels.binary('add', x, [n, n], kernels.fill(0, n * n, 'f32'), [n, n]),
        (x) => kernels.matmul(x, identity, square(n)),
        (x) => kernels.slice(x, [n, n], [0, 0], [n, n]),
      ];
      for (const call of calls) {
        const results = [call(a), call(b)] as const;
        demandSame(await backend.read(results[0]), toRead(backend, first), 'the first of two calls');
        demandSame(await backend.read(results[1]), toRead(backend, second), 'the second of two calls');
      }
    },
  },
  {
    name: 'changes in place happen between the kernels around them',
    async run(backend) {
      const { kernels } = backend;
      const target = kernels.fill(1, 1031, 'f32');
      const before = kernels.unary('neg', target, 1031);
      kernels.accumulate(target, target, 1031);
      const after = kernels.unary('neg', target, 1031);
      kernels.writeSlice(target, [1031], before, [0], [1031]);
      const expected: [typeof target, number][] = [
        [before, -1],
        [after, -2],
        [target, -1],
      ];
      for (const [storage, value] of expected) {
        demandSame(await backend.read(storage), toRead(backend, new Float32Array(1031).fill(value)), 'in place');
        backend.free(storage);
      }
    },
  },
];

/** Accounting and the end of storage. */
const lifetime: readonly Rule[] = [
  {
    name: 'memory() counts what is live, and returns to its start',
    async run(backend) {
      const start = backend.memory();
      const a = backend.upload(new Float32Array(1000), 'f32');
      const b = backend.kernels.unary('neg', a, 1000);
      const held = backend.memory();
      const elementBytes = backend.supports.precision === 'f64' ? 8 : 4;
      demand(a.byteLength === 1000 * elementBytes, `1000 elements are ${a.byteLength} bytes`, a.byteLength);
      demand(
        held.liveBytes - start.liveBytes === a.byteLength + b.byteLength,
        'liveBytes is the sum of live storage',
        held,
      );
      demand(held.liveStorages - start.liveStorages === 2, 'liveStorages counts storage', held);
      backend.free(a);
      backend.free(b);
      const end = backend.memory();
      demand(
        end.liveBytes === start.liveBytes && end.liveStorages === start.liveStorages,
        'nothing is live after free',
        end,
      );
      demand(end.peakBytes >= held.liveBytes, 'peakBytes keeps the most', end);
      demand(end.reservedBytes >= 0 && Number.isFinite(end.reservedBytes), 'reservedBytes is a number of bytes', end);
      backend.resetPeak();
      demand(backend.memory().peakBytes === end.liveBytes, 'resetPeak starts from what is live', backend.memory());
    },
  },
  {
    name: 'a thousand allocations and frees do not pile up reserved memory',
    async run(backend) {
      const cycle = async (): Promise<number> => {
        for (let i = 0; i < 500; i++) {
          const x = backend.kernels.fill(i, 1000 + (i % 7) * 100, 'f32');
          backend.free(x);
        }
        await backend.sync();
        return backend.memory().reservedBytes;
      };
      const first = await cycle();
      const second = await cycle();
      demand(second <= first, `reserved ${first} bytes, then ${second} for the same work`, second);
    },
  },
  {
    name: 'reading freed storage is refused',
    async run(backend) {
      const x = backend.upload(new Float32Array(3), 'f32');
      backend.free(x);
      await demandFailure(backend, ['BACKEND_FREED'], 'read of freed storage', () => backend.read(x));
    },
  },
  {
    name: 'freeing twice is refused',
    async run(backend) {
      const x = backend.upload(new Float32Array(3), 'f32');
      backend.free(x);
      const { liveBytes, liveStorages } = backend.memory();
      await demandFailure(backend, ['BACKEND_FREED'], 'the second free', () => backend.free(x));
      const after = backend.memory();
      demand(
        after.liveBytes === liveBytes && after.liveStorages === liveStorages,
        'the second free counts nothing',
        after,
      );
    },
  },
  {
    name: 'a kernel on freed storage is refused',
    async run(backend) {
      const x = backend.upload(new Float32Array(3), 'f32');
      backend.free(x);
      await demandFailure(backend, ['BACKEND_FREED'], 'a kernel on freed storage', () =>
        backend.kernels.unary('neg', x, 3),
      );
    },
  },
  {
    name: 'storage beyond supports.maxStorageBytes is refused',
    excuse: ({ supports }) =>
      Number.isSafeInteger(supports.maxStorageBytes) ? undefined : 'supports.maxStorageBytes is not a number of bytes',
    async run(backend) {
      const length = Math.floor(backend.supports.maxStorageBytes / 4) + 1;
      await demandFailure(backend, ['BACKEND_OUT_OF_MEMORY'], `fill of ${length} elements`, () =>
        backend.kernels.fill(0, length, 'f32'),
      );
    },
  },
  {
    name: 'after dispose every call is refused',
    disposes: true,
    async run(backend) {
      const x = backend.upload(new Float32Array(1031), 'f32');
      backend.kernels.unary('neg', x, 1031);
      await backend.dispose();
      const calls: [string, () => unknown][] = [
        ['upload', () => backend.upload(new Float32Array(1), 'f32')],
        ['a kernel', () => backend.kernels.fill(0, 1, 'f32')],
        ['read', () => backend.read(x)],
        ['sync', () => backend.sync()],
      ];
      for (const [what, call] of calls) {
        await demandFailure(backend, ['BACKEND_DISPOSED'], `${what} after dispose`, call);
      }
    },
  },
];

export const storageRules: readonly Rule[] = [...copies, ...order, ...lifetime];

/** As the backend reads it back. */
function toRead(backend: Backend, data: Float32Array): TypedArray {
  return backend.supports.precision === 'f64' ? Float64Array.from(data) : data;
}
