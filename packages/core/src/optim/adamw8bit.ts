import type { Backend } from '../backend/backend.ts';
import type { AdamWSpec } from '../backend/kernels.ts';
import { dynamicMap, dynamicMapZero, unsignedDynamicMap } from '../blocks/dynamic-map.ts';
import { CoreError } from '../errors/core-error.ts';
import { keep, scope } from '../tensor/scope.ts';
import { filled, tensor, type Tensor } from '../tensor/tensor.ts';
import { adamw8bitStep, type CodeMaps } from './adamw8bit-step.ts';
import { AdaptiveMoments, firstAndSecond, unscaled, type AdamOptions } from './adam.ts';
import { codeMoment, type WordLayout } from './code-words.ts';
import { plainMoment, type Moment } from './moment.ts';
import { scaled, type Due, type MakeMoments, type ParameterGroup } from './optimizer.ts';

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
  readonly #maps: readonly Tensor[];

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
    this.#maps = large === undefined ? [] : uploadMaps(large.backend);
  }

  protected override stepAlike(due: readonly Due[], gradientScale: Tensor | undefined, spec: AdamWSpec): void {
    const coded = due.filter(({ slot }) => slot.moments.has('firstCodes'));
    const plain = due.filter(({ slot }) => slot.moments.has('firstMoment'));
    if (plain.length > 0) this.apply(plain, gradientScale, spec);
    if (coded.length > 0) this.#apply8bit(coded, gradientScale, spec);
  }

  override dispose(): void {
    super.dispose();
    for (const map of this.#maps) map.dispose();
  }

  #apply8bit(due: readonly Due[], gradientScale: Tensor | undefined, spec: AdamWSpec): void {
    const { adamw8bit } = due[0]!.slot.parameter.backend.kernels;
    const kept = ({ slot }: Due, name: string): Tensor => slot.moments.get(name)!.tensor;
    if (adamw8bit === undefined) {
      const maps = codeMapsOf(this.#maps);
      for (const one of due) {
        const first = { codes: kept(one, 'firstCodes'), absmax: kept(one, 'firstAbsmax') };
        const second = { codes: kept(one, 'secondCodes'), absmax: kept(one, 'secondAbsmax') };
        scope(() => adamw8bitStep(one.slot.parameter, scaled(one.gradient, gradientScale), first, second, maps, spec));
      }
      return;
    }
    const operands = due.map((one) => ({
      parameter: one.slot.parameter.storage,
      gradient: one.gradient.storage,
      length: one.slot.parameter.size,
      firstCodes: kept(one, 'firstCodes').storage,
      firstAbsmax: kept(one, 'firstAbsmax').storage,
      secondCodes: kept(one, 'secondCodes').storage,
      secondAbsmax: kept(one, 'secondAbsmax').storage,
    }));
    const factor = gradientScale ?? unscaled(due[0]!.gradient);
    adamw8bit(operands, this.#maps[0]!.storage, factor.storage, spec);
  }
}

/** Whether a parameter's moments take 8 bits. */
function isCoded(size: number, minimumSize: number): boolean {
  return size > 0 && size >= minimumSize;
}

function momentsFrom(minimumSize: number): MakeMoments {
  return (parameters) => {
    const plain = firstAndSecond(parameters.filter(({ size }) => !isCoded(size, minimumSize))).values();
    return parameters.map((parameter) =>
      isCoded(parameter.size, minimumSize) ? codedMoments(parameter) : plain.next().value!,
    );
  };
}

function codedMoments(parameter: Tensor): ReadonlyMap<string, Moment> {
  const { backend, size } = parameter;
  const blocks = Math.ceil(size / momentBlockSize);
  // The composed step sees whole blocks: what it keeps behind the last element are codes of zeros.
  const packing: Pick<WordLayout, 'perWord' | 'codes'> =
    backend.kernels.adamw8bit === undefined
      ? { perWord: 3, codes: blocks * momentBlockSize }
      : { perWord: 4, codes: size };
  const absmax = (): Moment => plainMoment(keep(filled(backend, 0, [blocks])));
  return new Map([
    ['firstCodes', codeMoment(parameter, { ...packing, zero: dynamicMapZero })],
    ['firstAbsmax', absmax()],
    ['secondCodes', codeMoment(parameter, { ...packing, zero: 0 })],
    ['secondAbsmax', absmax()],
  ]);
}

/** For the kernel one tensor [2, 256]; else values and midpoints of the first moment's map, then of the second's. */
function uploadMaps(backend: Backend): Tensor[] {
  const maps = [dynamicMap(), unsignedDynamicMap()];
  if (backend.kernels.adamw8bit !== undefined) {
    return [keep(tensor(backend, Float32Array.from(maps.flatMap((map) => [...map])), [2, 256]))];
  }
  return maps.flatMap((map) => {
    const midpoints = Float32Array.from({ length: map.length - 1 }, (_, i) => (map[i]! + map[i + 1]!) / 2);
    return [map, midpoints].map((values) => keep(tensor(backend, values, [values.length])));
  });
}

function codeMapsOf(maps: readonly Tensor[]): CodeMaps {
  const [firstValues, firstMidpoints, secondValues, secondMidpoints] = maps as [Tensor, Tensor, Tensor, Tensor];
  return {
    first: { values: firstValues, midpoints: firstMidpoints },
    second: { values: secondValues, midpoints: secondMidpoints },
  };
}
