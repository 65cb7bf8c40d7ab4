/**
 * The float64 reference backend: what every other backend is judged by. Each kernel is its definition, in plain loops;
 * every call is checked strictly.
 */
import { BACKEND_INTERFACE_VERSION, BackendError, blockFormats, byteLengthOf, fourBitCodes } from '@lowrank/core';
import type { Backend, BlockFormat, FusedKernels, Primitives } from '@lowrank/core';
import { fused } from './fused.ts';
import { Heap, maxStorageBytes, refuse } from './heap.ts';
import { primitives } from './primitives.ts';

export interface ReferenceOptions {
  /** Offer the fused kernels. With `false` core composes everything from primitives. Default true. */
  readonly fused?: boolean;
  /** Block formats to keep as blocks. Default: all that core decodes; none without fused kernels, as they are what multiplies with blocks. */
  readonly blockFormats?: readonly BlockFormat[];
}

/** All that core decodes. */
const everyFormat = [...Object.keys(blockFormats), ...Object.keys(fourBitCodes)] as BlockFormat[];

/** Makes a backend named 'reference' of precision 'f64'. Its kernels run at once; `read` and `sync` only look asynchronous. */
export async function reference(options: ReferenceOptions = {}): Promise<Backend> {
  const heap = new Heap();
  const formats = options.blockFormats ?? (options.fused === false ? [] : everyFormat);
  const backend: Backend = {
    name: 'reference',
    interfaceVersion: BACKEND_INTERFACE_VERSION,
    supports: {
      precision: 'f64',
      blockFormats: formats,
      fusedMultiplyAdd: false,
      deterministic: true,
      nonFinite: true,
      maxStorageBytes,
    },
    kernels: guardMemory(heap, options.fused === false ? primitives(heap) : { ...primitives(heap), ...fused(heap) }),

    upload(data, dtype) {
      heap.assertUsable('upload');
      if (dtype === 'i32' ? !(data instanceof Int32Array) : !isFloats(data)) {
        throw refuse(
          'upload',
          `${dtype} takes ${dtype === 'i32' ? 'Int32Array' : 'Float32Array or Float64Array'}, not ${data?.constructor?.name}`,
          data,
        );
      }
      return heap.adopt(dtype === 'i32' ? new Int32Array(data) : new Float64Array(data));
    },
    async read(storage) {
      return heap.copyOut(storage);
    },
    async sync() {
      heap.assertUsable('sync');
    },
    free: (storage) => heap.free(storage),
    memory: () => heap.memory(),
    resetPeak: () => heap.resetPeak(),
    async dispose() {
      heap.dispose();
    },
  };
  if (formats.length === 0) return backend;
  return {
    ...backend,
    uploadBlocks(bytes, format, shape) {
      heap.assertUsable('uploadBlocks');
      if (!formats.includes(format)) {
        throw refuse('uploadBlocks', `${format} is not among this backend's formats (${formats.join(', ')})`, format);
      }
      const [rows, columns] = shape;
      const expected = byteLengthOf(format, shape, bytes);
      if (bytes.length !== expected) {
        throw refuse(
          'uploadBlocks',
          `${format} [${rows}, ${columns}] is ${expected} bytes, not ${bytes.length}`,
          bytes.length,
        );
      }
      return heap.adoptBlocks({ format, rows, columns, bytes: bytes.slice() });
    },
  };
}

function isFloats(data: unknown): boolean {
  return data instanceof Float32Array || data instanceof Float64Array;
}

/** The same kernels, with the engine's own failure to allocate told as a `BackendError`. */
function guardMemory<K extends Primitives & Partial<FusedKernels>>(heap: Heap, kernels: K): K {
  const guarded = Object.entries(kernels).map(([name, kernel]) => [
    name,
    (...operands: unknown[]) => {
      try {
        return (kernel as (...operands: unknown[]) => unknown)(...operands);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        const { liveBytes } = heap.memory();
        const message = `${name}: the result does not fit in memory beside ${liveBytes} live bytes; free some or make it smaller`;
        throw new BackendError('BACKEND_OUT_OF_MEMORY', message, { kernel: name, cause: error });
      }
    },
  ]);
  return Object.fromEntries(guarded) as K;
}
