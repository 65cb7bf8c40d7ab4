import type { HostArray } from '../host/arrays.ts';
import { checkFits, readHost, writeHost } from '../tensor/host-copy.ts';
import { keep } from '../tensor/scope.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';

/** An array that an optimizer keeps for a parameter, and how it is saved: the same on all backends, however it lies there. */
export interface Moment {
  /** What it lies in, alone or with others, one of which frees it for all. */
  readonly tensor: Tensor;
  /** Where it begins in the tensor. */
  readonly at: number;
  save(): Promise<HostArray>;
  /** @throws CoreError CORE_STATE where `array` cannot take the place of what is here; `what` names it. */
  check(array: HostArray, what: string): void;
  /** Puts a checked array in its place. */
  load(array: HostArray, what: string): void;
}

/** Zeros of a parameter's shape, saved as they are. */
export function zeroMoment({ backend, shape }: Tensor): Moment {
  return plainMoment(keep(filled(backend, 0, shape)));
}

/** A tensor that is saved as it is. */
export function plainMoment(tensor: Tensor): Moment {
  return {
    tensor,
    at: 0,
    save: () => readHost(tensor),
    check: (array, what) => checkFits(tensor, array, what),
    load: (array, what) => writeHost(tensor, array, what),
  };
}
