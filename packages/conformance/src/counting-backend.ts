/** A backend that counts what it is asked to do, and does it on another. */
import { fusedKernelNames, primitiveNames } from '@lowrank/core';
import type { Backend, FusedKernels, Primitives, Storage } from '@lowrank/core';

type Kernels = Primitives & Partial<FusedKernels>;
export type CountedKernel = keyof Primitives | keyof FusedKernels;

export interface KernelCall {
  readonly kernel: CountedKernel;
  /** Elements of each storage among its arguments. */
  readonly operands: readonly number[];
  /** Elements of each storage it returned; empty for kernels that work in place. */
  readonly results: readonly number[];
}

export interface Counts {
  /** Every kernel called, in order. */
  readonly calls: readonly KernelCall[];
  /** Number of calls of each kernel that was called. */
  readonly byKernel: ReadonlyMap<CountedKernel, number>;
  /** Bytes of the storage that kernels returned. */
  readonly resultBytes: number;
  /** Bytes of the storage that uploads made. */
  readonly uploadedBytes: number;
  /** Bytes that `read` gave. */
  readonly readBytes: number;
}

export interface CountingBackend extends Backend {
  /** What was asked since the backend was made or `resetCounts` was called. */
  counts(): Counts;
  resetCounts(): void;
}

/** Wraps `backend`: the same storage, kernels and manifest. Disposing of either disposes of both. */
export function countingBackend(backend: Backend): CountingBackend {
  let calls: KernelCall[] = [];
  let [uploadedBytes, resultBytes, readBytes] = [0, 0, 0];

  const uploaded = (storage: Storage): Storage => {
    uploadedBytes += storage.byteLength;
    return storage;
  };

  const counted: CountingBackend = {
    name: backend.name,
    interfaceVersion: backend.interfaceVersion,
    supports: backend.supports,
    kernels: wrapKernels(backend.kernels, (kernel, operands, results) => {
      calls.push({
        kernel,
        operands: operands.map(({ length }) => length),
        results: results.map(({ length }) => length),
      });
      resultBytes += results.reduce((sum, { byteLength }) => sum + byteLength, 0);
    }),
    upload: (data, dtype) => uploaded(backend.upload(data, dtype)),
    async read(storage) {
      const data = await backend.read(storage);
      readBytes += data.byteLength;
      return data;
    },
    sync: () => backend.sync(),
    free: (storage) => backend.free(storage),
    memory: () => backend.memory(),
    resetPeak: () => backend.resetPeak(),
    dispose: () => backend.dispose(),
    counts() {
      const byKernel = new Map<CountedKernel, number>();
      for (const { kernel } of calls) byKernel.set(kernel, (byKernel.get(kernel) ?? 0) + 1);
      return { calls: [...calls], byKernel, resultBytes, uploadedBytes, readBytes };
    },
    resetCounts() {
      calls = [];
      [uploadedBytes, resultBytes, readBytes] = [0, 0, 0];
    },
  };
  if (backend.uploadBlocks === undefined) return counted;
  return {
    ...counted,
    uploadBlocks: (bytes, format, shape) => uploaded(backend.uploadBlocks!(bytes, format, shape)),
  };
}

/** The kernels that are offered, each telling `seen` what it took and returned. */
function wrapKernels(
  kernels: Kernels,
  seen: (kernel: CountedKernel, operands: readonly Storage[], results: readonly Storage[]) => void,
): Kernels {
  const offered = [...primitiveNames, ...fusedKernelNames].filter((name) => kernels[name] !== undefined);
  const wrapped = offered.map((name) => [
    name,
    (...operands: unknown[]): unknown => {
      const result = (kernels[name] as (...operands: unknown[]) => unknown).apply(kernels, operands);
      seen(name, operands.flatMap(storagesIn), storagesIn(result));
      return result;
    },
  ]);
  return Object.fromEntries(wrapped) as Kernels;
}

/** The storages of an argument or result: one, several in a list or by name, or none. */
function storagesIn(value: unknown): Storage[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return 'byteLength' in value ? [value as Storage] : Object.values(value).flatMap(storagesIn);
}
