import type { Backend } from '../backend/backend.ts';
import type { AdamWSpec } from '../backend/kernels.ts';
import { dynamicMap, dynamicMapZero, unsignedDynamicMap } from '../blocks/dynamic-map.ts';
import { CoreError } from '../errors/core-error.ts';
import { keep } from '../tensor/scope.ts';
import { fromStorage, tensor, type Tensor } from '../tensor/tensor.ts';
import { adamw8bitStep, type CodeMap, type CodeMaps } from './adamw8bit-step.ts';
import { AdaptiveMoments, firstAndSecond, type AdamOptions } from './adam.ts';
import { codeMoment, type WordLayout } from './code-words.ts';
import { plainMoment, type Moment } from './moment.ts';
import type { MakeMoments, ParameterGroup, Slot } from './optimizer.ts';

/** Elements that share a scale: bitsandbytes' and the paper's. */
export const momentBlockSize = 256;

export interface AdamW8bitOptions extends AdamOptions {
  /** Parameters with fewer elements keep f32 moments, which cost little there: DoRA's magnitudes, biases, norms. Default 4096. */
  readonly minimumSize?: number;
}

/**
 * AdamW whose moments take 8 bits each, in blocks of 256 with a scale (Dettmers et al. 2022, arXiv 2110.02861): about a quarter of
 * AdamW's memory (2.03 bytes a parameter instead of 8; 2.70 on a backend that lacks the kernel).
 *
 * Codes are the nearest in bitsandbytes' dynamic maps, but a second moment above 0 never becomes 0: with the nearest alone a
 * parameter whose gradients are some 3,000 times smaller than the largest of its block would take a step of
 * firstMoment / epsilon.
 */
export class AdamW8bit extends AdaptiveMoments {
  readonly kind = 'adamw8bit';
  /** On the backend, where a parameter needs them. */
  readonly #maps: CodeMaps | undefined;

  constructor(groups: readonly ParameterGroup[], options: AdamW8bitOptions) {
    const { minimumSize = 4096 } = options;
    if (!Number.isSafeInteger(minimumSize) || minimumSize < 0) {
      throw new CoreError(
        'CORE_ARGUMENT',
        `optimizer: minimumSize is ${minimumSize}; a whole number of 0 or more is needed`,
        { value: minimumSize },
      );
    }
    super(groups, options, 0.01, momentsFrom(minimumSize), { minimumSize });
    const large = [...this.parameters.values()].find(({ size }) => isCoded(size, minimumSize));
    if (large !== undefined) this.#maps = uploadMaps(large.backend);
  }

  protected override update(slot: Slot, gradient: Tensor, learningRate: number, step: number): void {
    const spec = this.spec(slot, learningRate, slot.weightDecay, step);
    if (slot.moments.has('firstMoment')) this.apply(slot, gradient, spec);
    else this.#apply8bit(slot, gradient, spec);
  }

  override dispose(): void {
    super.dispose();
    for (const { values, midpoints } of Object.values(this.#maps ?? {}) as CodeMap[]) {
      values.dispose();
      midpoints.dispose();
    }
  }

  #apply8bit({ parameter, moments }: Slot, gradient: Tensor, spec: AdamWSpec): void {
    const maps = this.#maps!;
    const kept = (name: string): Tensor => moments.get(name)!.tensor;
    const first = { codes: kept('firstCodes'), absmax: kept('firstAbsmax') };
    const second = { codes: kept('secondCodes'), absmax: kept('secondAbsmax') };
    const { adamw8bit } = parameter.backend.kernels;
    if (adamw8bit === undefined) {
      adamw8bitStep(parameter, gradient, first, second, maps, spec);
      return;
    }
    adamw8bit(
      parameter.storage,
      gradient.storage,
      first.codes.storage,
      first.absmax.storage,
      second.codes.storage,
      second.absmax.storage,
      maps.first.values.storage,
      maps.second.values.storage,
      spec,
    );
  }
}

/** Whether a parameter's moments take 8 bits. */
function isCoded(size: number, minimumSize: number): boolean {
  return size > 0 && size >= minimumSize;
}

function momentsFrom(minimumSize: number): MakeMoments {
  return (parameter) => {
    const { backend, size } = parameter;
    if (!isCoded(size, minimumSize)) return firstAndSecond(parameter);
    const blocks = Math.ceil(size / momentBlockSize);
    // The composed step sees whole blocks: what it keeps behind the last element are codes of zeros.
    const packing: Pick<WordLayout, 'perWord' | 'codes'> =
      backend.kernels.adamw8bit === undefined
        ? { perWord: 3, codes: blocks * momentBlockSize }
        : { perWord: 4, codes: size };
    const absmax = (): Moment =>
      plainMoment(keep(fromStorage(backend, backend.kernels.fill(0, blocks, 'f32'), [blocks], 'f32')));
    return new Map([
      ['firstCodes', codeMoment(parameter, { ...packing, zero: dynamicMapZero })],
      ['firstAbsmax', absmax()],
      ['secondCodes', codeMoment(parameter, { ...packing, zero: 0 })],
      ['secondAbsmax', absmax()],
    ]);
  };
}

function uploadMaps(backend: Backend): CodeMaps {
  const upload = (map: Float32Array): CodeMap => {
    const midpoints = Float32Array.from({ length: map.length - 1 }, (_, i) => (map[i]! + map[i + 1]!) / 2);
    return {
      values: keep(tensor(backend, map, [map.length])),
      midpoints: keep(tensor(backend, midpoints, [midpoints.length])),
    };
  };
  return { first: upload(dynamicMap()), second: upload(unsignedDynamicMap()) };
}
