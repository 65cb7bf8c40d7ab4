/**
 * A backend of float32 for the suite's own tests: the reference with every result rounded, which meets each bound with
 * room to spare. Mutations of it are judged by the float32 bounds, the wider ones.
 */
import { reference } from '@lowrank/conformance';
import type { Backend, FusedKernels, Primitives, Storage } from '@lowrank/core';

export type Kernels = Primitives & FusedKernels;

/** The numbers behind a storage of the reference, to look at and to change. */
export function numbersOf(storage: Storage): Float64Array {
  return (storage as unknown as { content: Float64Array }).content;
}

export async function single(mutate: (kernels: Kernels) => Partial<Kernels> = () => ({})): Promise<Backend> {
  const base = await reference();
  const kernels = { ...(base.kernels as Kernels), ...mutate(base.kernels as Kernels) };
  return {
    ...base,
    name: 'single',
    supports: { ...base.supports, precision: 'f32' },
    kernels: rounding(kernels),
    async read(storage) {
      const data = await base.read(storage);
      return data instanceof Float64Array ? new Float32Array(data) : data;
    },
    upload: (data, dtype) => base.upload(data instanceof Float64Array ? new Float32Array(data) : data, dtype),
    // Storage counts its own bytes; float32 would take half, which only these tests could tell.
  };
}

/** After each kernel, what it returned or changed is rounded to float32. */
function rounding(kernels: Kernels): Kernels {
  const wrapped = Object.entries(kernels).map(([name, kernel]) => [
    name,
    (...operands: unknown[]): unknown => {
      const result = (kernel as (...operands: unknown[]) => unknown)(...operands);
      for (const storage of [...storagesIn(result), ...operands.flatMap(storagesIn)]) {
        const numbers = numbersOf(storage);
        if (numbers instanceof Float64Array) numbers.set(new Float32Array(numbers));
      }
      return result;
    },
  ]);
  return Object.fromEntries(wrapped) as Kernels;
}

function storagesIn(value: unknown): Storage[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('byteLength' in value && 'dtype' in value) return [value as Storage];
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
    ? Object.values(value).flatMap(storagesIn)
    : [];
}
