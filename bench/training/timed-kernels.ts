import type { CpuBackend } from '@lowrank/backend-cpu';
import type { MatmulSpec, QuantizedMatmulSpec, Storage } from '@lowrank/core';

/** What the calls of one kind took together. */
export interface KernelTime {
  calls: number;
  seconds: number;
  /** Of operands and results. */
  bytes: number;
  /** Of products: two a multiply-add. */
  operations: number;
}

/** A product with a side below this is an adapter's. */
const NARROW = 64;

/**
 * Has each of the backend's kernels waited for where it is called, and its time added to the entry of its kind in what is returned:
 * by name, products by whether they are the base's or of low rank, binary ones by operation and by whether they broadcast.
 * The program is slower by the waits, which no entry holds.
 */
export function timeKernels(backend: CpuBackend): Map<string, KernelTime> {
  const times = new Map<string, KernelTime>();
  const kernels = backend.kernels as unknown as Record<string, (...operands: unknown[]) => unknown>;
  for (const [name, kernel] of Object.entries(kernels)) {
    kernels[name] = (...operands) => {
      backend.block();
      const begin = performance.now();
      const result = kernel(...operands);
      backend.block();
      const seconds = (performance.now() - begin) / 1000;
      const kind = kindOf(name, operands);
      const entry = times.get(kind) ?? { calls: 0, seconds: 0, bytes: 0, operations: 0 };
      times.set(kind, entry);
      entry.calls++;
      entry.seconds += seconds;
      for (const { byteLength } of [...operands.flatMap(storagesIn), ...storagesIn(result)]) entry.bytes += byteLength;
      entry.operations += operationsOf(name, operands);
      return result;
    };
  }
  return times;
}

function kindOf(name: string, operands: readonly unknown[]): string {
  if (name === 'matmul' || name === 'matmulAccumulate') {
    const { m, n, k, transposeA, transposeB } = operands.at(-1) as MatmulSpec;
    const form = `a${transposeA ? '^T' : ''} b${transposeB ? '^T' : ''}`;
    return Math.min(m, n, k) < NARROW ? `${name} of low rank, ${form}` : `${name}, ${form}`;
  }
  if (name === 'matmulQuantized' || name === 'matmulQuantizedAccumulate') {
    return `${name}, x W${(operands.at(-1) as QuantizedMatmulSpec).transposed ? '' : '^T'}`;
  }
  if (name === 'binary' || name === 'unary' || name === 'reduce') {
    const broadcasts = name === 'binary' && String(operands[2]) !== String(operands[4]);
    return `${name} ${String(operands[0])}${broadcasts ? ', broadcast' : ''}`;
  }
  return name;
}

function operationsOf(name: string, operands: readonly unknown[]): number {
  if (name === 'matmul' || name === 'matmulAccumulate') {
    const { batch, m, n, k } = operands.at(-1) as MatmulSpec;
    return 2 * batch * m * n * k;
  }
  if (name === 'matmulQuantized' || name === 'matmulQuantizedAccumulate') {
    const { m, rows, columns } = operands.at(-1) as QuantizedMatmulSpec;
    return 2 * m * rows * columns;
  }
  return 0;
}

/** The storages of an argument or result: one, several in a list or by name, or none. */
function storagesIn(value: unknown): Storage[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return 'byteLength' in value ? [value as Storage] : Object.values(value).flatMap(storagesIn);
}
