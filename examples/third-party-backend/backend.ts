/**
 * A whole backend of lowrank: memory and the fourteen primitives, on typed arrays. Core composes everything else of them.
 * Each kernel runs when it is called and computes in float64; storing the result rounds it to float32.
 */
import { BACKEND_INTERFACE_VERSION, BackendError } from '@lowrank/core';
import type { Backend, BinaryOp, DType, MemoryUse, Primitives, Shape, Storage, UnaryOp } from '@lowrank/core';

type Numbers = Float32Array | Int32Array;

class ArrayStorage implements Storage {
  readonly dtype: DType;
  readonly length: number;
  readonly byteLength: number;
  /** Undefined once it is freed. */
  data: Numbers | undefined;

  constructor(data: Numbers) {
    this.dtype = data instanceof Int32Array ? 'i32' : 'f32';
    this.length = data.length;
    this.byteLength = data.byteLength;
    this.data = data;
  }
}

const maxStorageBytes = 2 ** 30;

/** Storage that counts its bytes, and refuses what was freed. */
class Memory {
  private use: MemoryUse = { liveBytes: 0, peakBytes: 0, liveStorages: 0, reservedBytes: 0 };
  private disposed = false;

  counts(): MemoryUse {
    return this.use;
  }

  resetPeak(): void {
    this.use = { ...this.use, peakBytes: this.use.liveBytes };
  }

  dispose(): void {
    this.disposed = true;
  }

  requireLive(): void {
    if (this.disposed) throw new BackendError('BACKEND_DISPOSED', 'the backend was disposed of; make a new one');
  }

  make(kernel: string, length: number, dtype: DType = 'f32'): ArrayStorage {
    this.requireLive();
    if (length * 4 > maxStorageBytes) {
      const message = `${kernel}: ${length} elements are beyond supports.maxStorageBytes, ${maxStorageBytes}; split them`;
      throw new BackendError('BACKEND_OUT_OF_MEMORY', message, { kernel, value: length });
    }
    const storage = new ArrayStorage(dtype === 'i32' ? new Int32Array(length) : new Float32Array(length));
    this.count(storage.byteLength, 1);
    return storage;
  }

  data(kernel: string, storage: Storage): Numbers {
    this.requireLive();
    const { data } = storage as ArrayStorage;
    if (data !== undefined) return data;
    throw new BackendError('BACKEND_FREED', `${kernel}: an operand was freed before`, { kernel });
  }

  free(storage: Storage): void {
    this.data('free', storage);
    (storage as ArrayStorage).data = undefined;
    this.count(-storage.byteLength, -1);
  }

  private count(bytes: number, storages: number): void {
    const liveBytes = this.use.liveBytes + bytes;
    this.use = {
      liveBytes,
      peakBytes: Math.max(this.use.peakBytes, liveBytes),
      liveStorages: this.use.liveStorages + storages,
      reservedBytes: liveBytes,
    };
  }
}

const unaryFormulas: Record<UnaryOp, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

const binaryFormulas: Record<BinaryOp, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  equal: (a, b) => (a === b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessEqual: (a, b) => (a <= b ? 1 : 0),
};

const count = (shape: Shape): number => shape.reduce((product, length) => product * length, 1);

/** Elements from one index to the next, on each axis. */
function stridesOf(shape: Shape): number[] {
  return shape.map((_, axis) => count(shape.slice(axis + 1)));
}

/** The same, where an axis of one is repeated. */
function repeating(shape: Shape): number[] {
  return stridesOf(shape).map((stride, axis) => (shape[axis] === 1 ? 0 : stride));
}

/** Where each element of `shape`, in row-major order, lies in an array with these strides. */
function offsets(shape: Shape, strides: readonly number[], first = 0): Int32Array {
  let from = Int32Array.of(first);
  for (const [axis, length] of shape.entries()) {
    const next = new Int32Array(from.length * length);
    let at = 0;
    for (const offset of from) {
      for (let i = 0; i < length; i++) next[at++] = offset + i * strides[axis]!;
    }
    from = next;
  }
  return from;
}

/** Where a window that begins at `start` lies in an array of `shape`. */
function windowOf(shape: Shape, start: readonly number[], size: readonly number[]): Int32Array {
  const strides = stridesOf(shape);
  return offsets(
    size,
    strides,
    start.reduce((sum, at, axis) => sum + at * strides[axis]!, 0),
  );
}

function primitives(memory: Memory): Primitives {
  /** A result filled by a function of the element's number. */
  function fill(kernel: string, length: number, at: (i: number) => number, dtype: DType = 'f32'): ArrayStorage {
    const result = memory.make(kernel, length, dtype);
    const data = result.data!;
    for (let i = 0; i < length; i++) data[i] = at(i);
    return result;
  }

  return {
    unary(op, x, length) {
      const [values, formula] = [memory.data('unary', x), unaryFormulas[op]];
      return fill('unary', length, (i) => formula(values[i]!));
    },

    binary(op, a, aShape, b, bShape) {
      const [left, right, formula] = [memory.data('binary', a), memory.data('binary', b), binaryFormulas[op]];
      const shape = aShape.map((length, axis) => (length === 1 ? bShape[axis]! : length));
      const [atA, atB] = [offsets(shape, repeating(aShape)), offsets(shape, repeating(bShape))];
      return fill('binary', atA.length, (i) => formula(left[atA[i]!]!, right[atB[i]!]!));
    },

    where(condition, conditionShape, a, aShape, b, bShape, shape) {
      const [c, p, q] = [condition, a, b].map((operand) => memory.data('where', operand));
      const [atC, atA, atB] = [conditionShape, aShape, bShape].map((own) => offsets(shape, repeating(own)));
      return fill('where', count(shape), (i) => (c![atC![i]!] !== 0 ? p![atA![i]!]! : q![atB![i]!]!));
    },

    fill: (value, length, dtype) => fill('fill', length, () => value, dtype),

    reduce(op, x, outer, axis, inner) {
      const values = memory.data('reduce', x);
      const start = { sum: 0, max: -Infinity, min: Infinity }[op];
      const formula = binaryFormulas[op === 'sum' ? 'add' : op];
      return fill('reduce', outer * inner, (i) => {
        let result = start;
        let at = Math.floor(i / inner) * axis * inner + (i % inner);
        for (let n = 0; n < axis; n++, at += inner) result = formula(result, values[at]!);
        return result;
      });
    },

    matmul(a, b, { batch, m, n, k, transposeA, transposeB, batchA, batchB }) {
      const [left, right] = [memory.data('matmul', a), memory.data('matmul', b)];
      const [rowA, stepA] = transposeA ? [1, m] : [k, 1];
      const [columnB, stepB] = transposeB ? [k, 1] : [1, n];
      const result = memory.make('matmul', batch * m * n);
      for (let i = 0; i < result.length; i++) {
        const matrix = Math.floor(i / (m * n));
        let atA = (batchA ? matrix * m * k : 0) + (Math.floor(i / n) % m) * rowA;
        let atB = (batchB ? matrix * k * n : 0) + (i % n) * columnB;
        let sum = 0;
        for (let j = 0; j < k; j++, atA += stepA, atB += stepB) sum += left[atA]! * right[atB]!;
        result.data![i] = sum;
      }
      return result;
    },

    permute(x, shape, axes) {
      const [values, strides] = [memory.data('permute', x), stridesOf(shape)];
      const at = offsets(
        axes.map((axis) => shape[axis]!),
        axes.map((axis) => strides[axis]!),
      );
      return fill('permute', at.length, (i) => values[at[i]!]!, x.dtype as DType);
    },

    gather(table, _rows, columns, indices, length) {
      const [values, rows] = [memory.data('gather', table), memory.data('gather', indices)];
      return fill('gather', length * columns, (i) => values[rows[Math.floor(i / columns)]! * columns + (i % columns)]!);
    },

    scatterAdd(source, indices, length, rows, columns) {
      const [values, to] = [memory.data('scatterAdd', source), memory.data('scatterAdd', indices)];
      const sums = new Float64Array(rows * columns);
      for (let i = 0; i < length * columns; i++) {
        sums[to[Math.floor(i / columns)]! * columns + (i % columns)]! += values[i]!;
      }
      return fill('scatterAdd', sums.length, (i) => sums[i]!);
    },

    slice(x, shape, start, size) {
      const [values, at] = [memory.data('slice', x), windowOf(shape, start, size)];
      return fill('slice', at.length, (i) => values[at[i]!]!, x.dtype as DType);
    },

    writeSlice(target, shape, source, start, size) {
      const [to, from] = [memory.data('writeSlice', target), memory.data('writeSlice', source)];
      for (const [i, at] of windowOf(shape, start, size).entries()) to[at] = from[i]!;
    },

    concat(parts, outer, axes, inner) {
      const result = memory.make(
        'concat',
        outer * inner * axes.reduce((sum, axis) => sum + axis, 0),
        parts[0]!.dtype as DType,
      );
      let to = 0;
      for (let row = 0; row < outer; row++) {
        for (const [p, part] of parts.entries()) {
          const run = axes[p]! * inner;
          result.data!.set(memory.data('concat', part).subarray(row * run, (row + 1) * run), to);
          to += run;
        }
      }
      return result;
    },

    cast(x, length, to) {
      const values = memory.data('cast', x);
      const saturated = (value: number): number => Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), Math.trunc(value) || 0));
      return fill('cast', length, (i) => (to === 'i32' ? saturated(values[i]!) : values[i]!), to);
    },

    accumulate(target, source, length) {
      const [to, from] = [memory.data('accumulate', target), memory.data('accumulate', source)];
      for (let i = 0; i < length; i++) to[i]! += from[i]!;
    },
  };
}

/** Makes the backend: the one function that a package exports. */
export default async function arrays(): Promise<Backend> {
  const memory = new Memory();
  return {
    name: 'arrays',
    interfaceVersion: BACKEND_INTERFACE_VERSION,
    supports: {
      precision: 'f32',
      blockFormats: [],
      fusedMultiplyAdd: false,
      deterministic: true,
      nonFinite: true,
      maxStorageBytes,
    },
    kernels: primitives(memory),
    upload(data, dtype) {
      const storage = memory.make('upload', data.length, dtype);
      storage.data!.set(data);
      return storage;
    },
    read: async (storage) => memory.data('read', storage).slice(),
    sync: async () => memory.requireLive(),
    free: (storage) => memory.free(storage),
    memory: () => memory.counts(),
    resetPeak: () => memory.resetPeak(),
    dispose: async () => memory.dispose(),
  };
}
