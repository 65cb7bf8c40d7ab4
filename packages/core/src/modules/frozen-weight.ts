import type { Backend, Storage } from '../backend/backend.ts';
import { checkHostArray, decodeArray } from '../blocks/index.ts';
import { CoreError } from '../errors/core-error.ts';
import type { ArrayFormat, BlockFormat, HostArray } from '../host/arrays.ts';
import { matmul } from '../ops/matmul.ts';
import { gather } from '../ops/gather.ts';
import { flattenRows, reshape } from '../ops/reshape.ts';
import { result } from '../tensor/record.ts';
import { keep } from '../tensor/scope.ts';
import { shapeText } from '../tensor/shape.ts';
import type { Weight } from './module.ts';
import { requireInterfaceVersion, tensor, type Tensor } from '../tensor/tensor.ts';

/**
 * A weight [out, in] that is never trained: no gradient, no gradient memory, no dW product.
 *
 * It keeps the form it came in. Blocks whose format the backend knows live there and are decoded while multiplying;
 * those it does not know stay on the host and are decoded when used.
 */
export class FrozenWeight {
  readonly backend: Backend;
  readonly shape: readonly [number, number];
  readonly format: ArrayFormat;
  readonly #place: Dense | OnBackend | OnHost;
  #disposed = false;

  constructor(backend: Backend, array: HostArray) {
    const [rows, columns] = array.shape;
    if (array.shape.length !== 2 || rows === undefined || columns === undefined) {
      throw new CoreError('CORE_SHAPE', `a frozen weight is [out, in], not ${shapeText(array.shape)}`, {
        value: array.shape,
      });
    }
    checkHostArray(array);
    requireInterfaceVersion(backend);
    this.backend = backend;
    this.shape = [rows, columns];
    this.format = array.format;
    this.#place = placeOf(backend, array, this.shape);
  }

  /** x [..., in] times W^T: [..., out]. */
  product(x: Tensor): Tensor {
    const [rows, columns] = this.#checked().shape;
    if (x.shape.at(-1) !== columns) {
      throw new CoreError(
        'CORE_SHAPE',
        `a weight ${shapeText(this.shape)} takes [..., ${columns}], not ${shapeText(x.shape)}`,
        { value: x.shape },
      );
    }
    if (x.backend !== this.backend) {
      throw new CoreError(
        'CORE_MIXED_BACKENDS',
        `the input is on ${x.backend.name}, the weight on ${this.backend.name} (or on a second instance of it)`,
      );
    }
    if (x.shape.length === 2) return this.#place.product(x, this.shape);
    const y = this.#place.product(flattenRows(x), this.shape);
    const shaped = reshape(y, x.shape.with(-1, rows));
    // Its only handle then: `addInto` may use the storage.
    y.dispose();
    return shaped;
  }

  /** Rows at `indices` [...]: [..., in]. */
  rows(indices: Tensor): Tensor {
    return this.#checked().#place.rows(indices, this.shape);
  }

  /** The values as they came: the same bytes. */
  async host(): Promise<HostArray> {
    return { format: this.format, shape: this.shape, data: await this.#checked().#place.read() };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#place.dispose();
  }

  #checked(): this {
    if (this.#disposed) {
      throw new CoreError('CORE_DISPOSED', `a frozen weight ${shapeText(this.shape)} is used after it was disposed`);
    }
    return this;
  }
}

/** Whether a weight is a frozen one. */
export function isFrozen(weight: Weight): weight is FrozenWeight {
  return weight instanceof FrozenWeight;
}

type Matrix = readonly [number, number];

function placeOf(backend: Backend, array: HostArray, shape: Matrix): Dense | OnBackend | OnHost {
  const { format, data } = array;
  if (format === 'f32') return new Dense(tensor(backend, data, shape));
  if (format === 'i32') throw new CoreError('CORE_DTYPE', 'a weight cannot be i32');
  const { blockFormats } = backend.supports;
  const { matmulQuantized, gatherQuantized } = backend.kernels;
  if (blockFormats.includes(format) && matmulQuantized !== undefined && gatherQuantized !== undefined) {
    return new OnBackend(backend, backend.uploadBlocks!(data as Uint8Array, format, shape), format);
  }
  return new OnHost(backend, array);
}

/** Plain f32 on the backend. */
class Dense {
  readonly #values: Tensor;

  constructor(values: Tensor) {
    this.#values = keep(values);
  }

  product(x: Tensor): Tensor {
    return matmul(x, this.#values, { transposeB: true });
  }

  rows(indices: Tensor): Tensor {
    return gather(this.#values, indices);
  }

  async read(): Promise<HostArray['data']> {
    return this.#values.data();
  }

  dispose(): void {
    this.#values.dispose();
  }
}

/** Blocks that the backend multiplies with. */
class OnBackend {
  readonly #backend: Backend;
  readonly #storage: Storage;
  readonly #format: BlockFormat;

  constructor(backend: Backend, storage: Storage, format: BlockFormat) {
    this.#backend = backend;
    this.#storage = storage;
    this.#format = format;
  }

  product(x: Tensor, shape: Matrix): Tensor {
    return this.#multiply(x, shape, false);
  }

  #multiply(x: Tensor, [rows, columns]: Matrix, transposed: boolean): Tensor {
    const { kernels } = this.#backend;
    const m = x.shape[0]!;
    const spec = { format: this.#format, m, rows, columns, transposed };
    const storage = kernels.matmulQuantized!(x.storage, this.#storage, spec);
    return result('matmulQuantized', [x], storage, [m, transposed ? columns : rows], () => ({
      gradient: (dy, _saved, _needs, [sum]) => {
        if (sum === undefined || kernels.matmulQuantizedAccumulate === undefined) {
          return [this.#multiply(dy, [rows, columns], !transposed)];
        }
        kernels.matmulQuantizedAccumulate(sum.storage, dy.storage, this.#storage, { ...spec, transposed: !transposed });
        return [undefined];
      },
    }));
  }

  rows(indices: Tensor, [rows, columns]: Matrix): Tensor {
    const { kernels } = this.#backend;
    const storage = kernels.gatherQuantized!(this.#storage, this.#format, rows, columns, indices.storage, indices.size);
    return result('gatherQuantized', [indices], storage, [...indices.shape, columns]);
  }

  async read(): Promise<HostArray['data']> {
    return this.#backend.read(this.#storage);
  }

  dispose(): void {
    this.#backend.free(this.#storage);
  }
}

/** Blocks that the backend does not know: decoded here, for as long as one product takes. */
class OnHost {
  readonly #backend: Backend;
  readonly #array: HostArray;

  constructor(backend: Backend, array: HostArray) {
    this.#backend = backend;
    this.#array = array;
  }

  product(x: Tensor, shape: Matrix): Tensor {
    return this.#multiply(x, shape, false);
  }

  #multiply(x: Tensor, [rows, columns]: Matrix, transposed: boolean): Tensor {
    const m = x.shape[0]!;
    const [n, k] = transposed ? [columns, rows] : [rows, columns];
    const weight = tensor(this.#backend, decodeArray(this.#array), [rows, columns]);
    const storage = this.#backend.kernels.matmul(x.storage, weight.storage, {
      batch: 1,
      m,
      n,
      k,
      transposeA: false,
      transposeB: !transposed,
      batchA: true,
      batchB: true,
    });
    weight.dispose();
    return result('matmulDecoded', [x], storage, [m, n], () => ({
      gradient: (dy) => [this.#multiply(dy, [rows, columns], !transposed)],
    }));
  }

  rows(indices: Tensor, shape: Matrix): Tensor {
    const table = tensor(this.#backend, decodeArray(this.#array), shape);
    const picked = gather(table, indices);
    table.dispose();
    return picked;
  }

  read(): Promise<HostArray['data']> {
    return Promise.resolve(this.#array.data);
  }

  dispose(): void {}
}
