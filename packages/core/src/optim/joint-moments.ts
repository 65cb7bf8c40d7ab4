import type { Backend } from '../backend/backend.ts';
import type { HostArray } from '../host/arrays.ts';
import { slice } from '../ops/slice.ts';
import { reshape } from '../ops/reshape.ts';
import { checkFits, readHost, toStorage } from '../tensor/host-copy.ts';
import { keep, noGrad, scope } from '../tensor/scope.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';
import { zeroMoment, type Moment } from './moment.ts';

/** Moments begin at whole cache lines and whole vectors of any kernel. */
const alignment = 16;

/** What many parameters share one tensor up to: small ones are what it is for, and a device may have no larger buffers. */
const mostElements = 2 ** 22;

/** The first and second moments of a parameter, each a tensor of its own. */
export function zeroMoments(parameter: Tensor): ReadonlyMap<string, Moment> {
  return new Map([
    ['firstMoment', zeroMoment(parameter)],
    ['secondMoment', zeroMoment(parameter)],
  ]);
}

/**
 * The first and second moments of many parameters, side by side in few tensors [2, row], as the kernel `adamw` takes them: one
 * operand for all of them instead of two for each. Saved one by one. Where the backend has no storage for both of a large
 * parameter, they are tensors of their own.
 */
export function jointMoments(parameters: readonly Tensor[]): ReadonlyMap<string, Moment>[] {
  return groupsOf(parameters).flatMap((group) => {
    const places: number[] = [];
    let row = 0;
    for (const { size } of group) {
      places.push(row);
      row += Math.ceil(size / alignment) * alignment;
    }
    const { backend } = group[0]!;
    if (2 * row * bytesOf(backend) > backend.supports.maxStorageBytes) return group.map(zeroMoments);
    const tensor = keep(filled(backend, 0, [2, row]));
    return group.map((parameter, index) => {
      const at = places[index]!;
      return new Map([
        ['firstMoment', part(tensor, at, parameter)],
        ['secondMoment', part(tensor, row + at, parameter)],
      ]);
    });
  });
}

/** Of an element of type f32. */
function bytesOf({ supports }: Backend): number {
  return supports.precision === 'f64' ? 8 : 4;
}

/** Neighbours until they are too many elements; a large one is alone. */
function groupsOf(parameters: readonly Tensor[]): Tensor[][] {
  const groups: Tensor[][] = [];
  let room = 0;
  for (const parameter of parameters) {
    if (groups.length === 0 || parameter.size > room) {
      groups.push([]);
      room = mostElements;
    }
    groups.at(-1)!.push(parameter);
    room -= parameter.size;
  }
  return groups;
}

/** Of the parameter's shape, from element `at` of the tensor on. */
function part(tensor: Tensor, at: number, { shape, size, dtype }: Tensor): Moment {
  return {
    tensor,
    at,
    async save(): Promise<HostArray> {
      const copy = noGrad(() =>
        scope(() => reshape(slice(reshape(tensor.detach(), [tensor.size]), 0, at, size), shape)),
      );
      try {
        return await readHost(copy);
      } finally {
        copy.dispose();
      }
    },
    check: (array, what) => checkFits({ shape, dtype }, array, what),
    load(array, what) {
      const { backend } = tensor;
      checkFits({ shape, dtype }, array, what);
      const storage = toStorage(backend, array, dtype);
      backend.kernels.writeSlice(tensor.storage, [tensor.size], storage, [at], [size]);
      backend.free(storage);
    },
  };
}
