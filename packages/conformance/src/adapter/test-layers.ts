import {
  Embedding,
  encodeArray,
  FrozenWeight,
  isFourBitFormat,
  keep,
  Linear,
  quantize4bit,
  tensor,
} from '@lowrank/core';
import type { Backend, EncodableFormat, FourBitFormat, HostArray, Site, Tensor } from '@lowrank/core';
import { integers, uniform } from '../backend/inputs.ts';

/** A layer that adapters are tried on. */
export interface TestLayer {
  readonly name: string;
  readonly kind: Site['kind'];
  /** Columns of a linear weight; an embedding's vocabulary. */
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly format: EncodableFormat | FourBitFormat;
  readonly bias: boolean;
  /** No adapter may refuse it. */
  readonly usual?: true;
}

const dense = { kind: 'linear', format: 'f32', bias: false } as const;

/** Ones, primes, sizes beyond a tile, quantized bases. Few other tensors can have as many elements as the last six weights. */
export const testLayers: readonly TestLayer[] = [
  { ...dense, name: '1 to 1', inFeatures: 1, outFeatures: 1, bias: true },
  { ...dense, name: '1 to 5', inFeatures: 1, outFeatures: 5 },
  { ...dense, name: '7 to 1', inFeatures: 7, outFeatures: 1 },
  { ...dense, name: '13 to 7 with bias', inFeatures: 13, outFeatures: 7, bias: true },
  { ...dense, name: '67 to 131', inFeatures: 67, outFeatures: 131, usual: true },
  { ...dense, name: 'q8_0, 64 to 35', inFeatures: 64, outFeatures: 35, format: 'q8_0' },
  { ...dense, name: 'q4_1, 96 to 33', inFeatures: 96, outFeatures: 33, format: 'q4_1' },
  { ...dense, name: 'nf4, 43 to 29', inFeatures: 43, outFeatures: 29, format: 'nf4' },
  { name: 'embedding of 23 in 37', kind: 'embedding', inFeatures: 23, outFeatures: 37, format: 'f32', bias: false },
  {
    name: 'q8_0 embedding of 19 in 64',
    kind: 'embedding',
    inFeatures: 19,
    outFeatures: 64,
    format: 'q8_0',
    bias: false,
  },
];

/** The layer's weight as a file would hold it: [out, in], or [vocabulary, dimension]. */
function weightOf({ name, kind, inFeatures, outFeatures, format }: TestLayer): HostArray {
  const shape = kind === 'linear' ? [outFeatures, inFeatures] : [inFeatures, outFeatures];
  const values = uniform(`${name}/weight`, inFeatures * outFeatures);
  return isFourBitFormat(format) ? quantize4bit(values, shape, { format }) : encodeArray(values, shape, format);
}

export function biasOf({ name, outFeatures, bias }: TestLayer): Float32Array | undefined {
  return bias ? uniform(`${name}/bias`, outFeatures) : undefined;
}

/** The layer on a backend, frozen. */
export function buildLayer(backend: Backend, row: TestLayer): Linear | Embedding {
  const weight = new FrozenWeight(backend, weightOf(row));
  if (row.kind === 'embedding') return new Embedding(weight);
  const bias = biasOf(row);
  return new Linear(weight, bias === undefined ? undefined : keep(tensor(backend, bias, [row.outFeatures])));
}

/** An input with leading axes `leading`: numbers, or token ids with repetitions. The numbers do not depend on how the axes are cut. */
export function inputOf(backend: Backend, row: TestLayer, leading: readonly number[]): Tensor {
  const rows = leading.reduce((product, length) => product * length, 1);
  if (row.kind === 'embedding') {
    return keep(tensor(backend, integers(`${row.name}/ids`, rows, Math.ceil(row.inFeatures / 2)), leading));
  }
  return keep(tensor(backend, uniform(`${row.name}/x`, rows * row.inFeatures), [...leading, row.inFeatures]));
}
