import {
  BACKEND_INTERFACE_VERSION,
  type Backend,
  type DType,
  type Storage,
  type TypedArray,
} from '../backend/backend.ts';
import type { Shape } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import type { GraphNode } from './graph.ts';
import { track, untrack } from './scope.ts';
import { checkShape, sameShape, shapeText, sizeOf } from './shape.ts';
import { SharedStorage } from './shared-storage.ts';

/**
 * An array on a backend, with the operation that made it where a gradient may flow through.
 *
 * A tensor owns a share of its storage until `dispose()`; a `scope` disposes those made inside it.
 */
export class Tensor implements Disposable {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly #shared: SharedStorage;
  readonly #node: GraphNode | undefined;
  #requiresGrad = false;
  #disposed = false;
  #grad: Tensor | undefined;
  #version = 0;

  /** For operations and backends: a tensor over storage it now owns. Users call `tensor(...)`. */
  constructor(shared: SharedStorage, shape: Shape, dtype: DType, node?: GraphNode) {
    this.#shared = shared;
    this.shape = shape;
    this.dtype = dtype;
    this.#node = node;
    track(this);
  }

  get backend(): Backend {
    return this.#shared.backend;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** What kernels work on. Throws when the tensor was disposed. */
  get storage(): Storage {
    if (this.#disposed) {
      throw new CoreError(
        'CORE_DISPOSED',
        `a tensor ${shapeText(this.shape)} is used after it was disposed; keep(...) it or return it from its scope`,
      );
    }
    return this.#shared.storage;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Nobody else holds the storage, so it may be changed in place. */
  get exclusive(): boolean {
    return !this.#disposed && this.#shared.holders === 1;
  }

  /** A gradient flows to or through this tensor. */
  get requiresGrad(): boolean {
    return this.#requiresGrad || this.#node !== undefined;
  }

  /** Makes a tensor trainable: `backward` leaves its gradient in `grad`. Only for tensors that no operation made. */
  set requiresGrad(value: boolean) {
    if (this.#node !== undefined) {
      throw new CoreError('CORE_NO_GRADIENT', 'requiresGrad is set on the result of an operation; detach() it first');
    }
    if (value && this.dtype !== 'f32') {
      throw new CoreError('CORE_DTYPE', `only f32 tensors can be trained, this one is ${this.dtype}`, {
        value: this.dtype,
      });
    }
    this.#requiresGrad = value;
  }

  /** The operation that made it, if recorded. */
  get node(): GraphNode | undefined {
    return this.#node;
  }

  /** The gradient that `backward` accumulated. Owned by this tensor. */
  get grad(): Tensor | undefined {
    return this.#grad;
  }

  set grad(value: Tensor | undefined) {
    if (this.#grad !== value) this.#grad?.dispose();
    this.#grad = value;
  }

  /** Counts the changes made in place, so that what was derived from the values can be dropped. */
  get version(): number {
    return this.#version;
  }

  /** Whoever writes to the storage in place says so here. */
  markChanged(): void {
    this.#version++;
  }

  /** The values, once all work they depend on is done. f32 gives Float64Array on the float64 reference. */
  async data(): Promise<TypedArray> {
    return this.backend.read(this.storage);
  }

  /** The only value of a tensor of one element. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new CoreError('CORE_SHAPE', `item() needs one element, the shape is ${shapeText(this.shape)}`, {
        value: this.shape,
      });
    }
    return (await this.data())[0]!;
  }

  /** Another handle on the same storage, outside the graph. */
  detach(): Tensor {
    return this.alias(this.shape);
  }

  /** Another handle on the same storage with another shape of the same size, made by `node`. For operations. */
  alias(shape: Shape, node?: GraphNode): Tensor {
    void this.storage;
    if (sizeOf(shape) !== this.size) {
      throw new CoreError(
        'CORE_SHAPE',
        `a tensor ${shapeText(this.shape)} cannot be seen as ${shapeText(shape)}: sizes differ`,
        { value: shape },
      );
    }
    return new Tensor(this.#shared.hold(), shape, this.dtype, node);
  }

  /** Lets go of the storage, the gradient and the graph behind it. Disposing twice is harmless. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    untrack(this);
    this.grad = undefined;
    this.#node?.release();
    this.#shared.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A tensor over fresh storage of `backend`, made by no operation. */
export function fromStorage(backend: Backend, storage: Storage, shape: Shape, dtype: DType): Tensor {
  requireInterfaceVersion(backend);
  return new Tensor(new SharedStorage(backend, storage), shape, dtype);
}

/** A tensor of one number throughout, f32. */
export function filled(backend: Backend, value: number, shape: Shape): Tensor {
  return fromStorage(backend, backend.kernels.fill(value, sizeOf(shape), 'f32'), shape, 'f32');
}

/**
 * Copies values to a backend.
 * @param values row-major; plain numbers become f32. `Int32Array` gives an i32 tensor.
 * @throws CoreError CORE_SHAPE when the number of values is not the shape's size.
 */
export function tensor(backend: Backend, values: TypedArray | readonly number[], shape: Shape): Tensor {
  checkShape(shape, 'tensor');
  if (values.length !== sizeOf(shape)) {
    throw new CoreError('CORE_SHAPE', `tensor: ${values.length} values do not fill the shape ${shapeText(shape)}`, {
      value: shape,
    });
  }
  if (values instanceof Uint8Array) {
    throw new CoreError('CORE_DTYPE', 'tensor: bytes are not a tensor; blocks become a FrozenWeight');
  }
  const dtype: DType = values instanceof Int32Array ? 'i32' : 'f32';
  const data = ArrayBuffer.isView(values) ? values : Float64Array.from(values);
  const typed = data instanceof Float64Array && backend.supports.precision === 'f32' ? Float32Array.from(data) : data;
  return fromStorage(backend, backend.upload(typed, dtype), [...shape], dtype);
}

/**
 * A tensor of a second copy of core has a graph and scopes of its own: gradients would stop there without a word.
 * @throws CoreError CORE_TWO_COPIES.
 */
function requireOwnTensor(op: string, tensor: unknown): void {
  if (tensor instanceof Tensor) return;
  throw new CoreError(
    'CORE_TWO_COPIES',
    `${op}: this is not a tensor of this copy of @lowrank/core; two copies are installed, or a plugin bundles its own: make it one (npm ls @lowrank/core; core is a peer dependency of plugins)`,
  );
}

/** Throws unless all tensors live on one backend; returns it. */
export function commonBackend(op: string, tensors: readonly Tensor[]): Backend {
  const first = tensors[0]!;
  for (const other of tensors) {
    requireOwnTensor(op, other);
    if (other.backend !== first.backend) {
      throw new CoreError(
        'CORE_MIXED_BACKENDS',
        `${op}: one tensor is on ${first.backend.name}, another on ${other.backend.name} (or on a second instance of it)`,
      );
    }
  }
  return first.backend;
}

/** Throws unless the shapes are equal. */
export function requireSameShape(op: string, a: Tensor, b: Tensor): void {
  if (!sameShape(a.shape, b.shape)) {
    throw new CoreError('CORE_SHAPE', `${op}: shapes ${shapeText(a.shape)} and ${shapeText(b.shape)} differ`, {
      value: [a.shape, b.shape],
    });
  }
}

/**
 * @throws CoreError CORE_INTERFACE_VERSION for a backend made for another version of the interface.
 */
export function requireInterfaceVersion(backend: Backend): void {
  // A plugin may be of any version, whatever its type says.
  const version: unknown = backend.interfaceVersion;
  if (version === BACKEND_INTERFACE_VERSION) return;
  throw new CoreError(
    'CORE_INTERFACE_VERSION',
    `the backend '${backend.name}' is made for interface version ${String(version)}, this is ${BACKEND_INTERFACE_VERSION}; install matching versions`,
    { value: version },
  );
}
