/**
 * Starts that are made of the weight itself. PiSSA and OLoRA take s B A out of the base, so that base and adapter together
 * are the original whatever the scale; LoftQ makes up for what quantizing the base loses.
 */
import type { HostArray } from '../../host/arrays.ts';
import { truncatedQr } from '../../numerics/qr.ts';
import { truncatedSvd } from '../../numerics/svd.ts';
import { AdapterError, type Site } from '../adapter.ts';
import { hostWeight, type HostWeight } from '../host-weight.ts';
import { eachRowOfChange, type HostPair } from './host-pair.ts';
import type { LowRankStart } from './init.ts';

/** Initial values and the weight that they stand on. */
export interface StartOnBase extends LowRankStart {
  /** What the layer's weight becomes: W - s B A, computed with the rounded B and A, and rounded once to f32. */
  readonly base: HostWeight;
}

/**
 * PiSSA (Meng et al. 2024, arXiv 2404.02948): with W = U S V^T, B = U_r sqrt(S_r / s), A = sqrt(S_r / s) V_r^T.
 * @throws AdapterError ADAPTER_SITE for a rank that the weight cannot have, or a weight that is not finite.
 */
export async function pissaStart(site: Site, original: HostWeight, rank: number, scale: number): Promise<StartOnBase> {
  const weight = await weightOf(site, original, rank, 'pissa');
  return onResidual(site, weight, rank, scale, singularPair(weight, site, rank, scale));
}

/**
 * OLoRA (Buyukakyuz 2024, arXiv 2406.01775): with W = Q R, B = Q[:, :r], A = R[:r].
 * @throws AdapterError ADAPTER_SITE for a rank that the weight cannot have, or a weight that is not finite.
 */
export async function oloraStart(site: Site, original: HostWeight, rank: number, scale: number): Promise<StartOnBase> {
  const weight = await weightOf(site, original, rank, 'olora');
  const { q, r } = truncatedQr(weight, site.outFeatures, site.inFeatures, rank);
  return onResidual(site, weight, rank, scale, { a: Float32Array.from(r), b: Float32Array.from(q) });
}

/** How a weight is stored in fewer bits: what is stored, and what it is read as. */
export type Quantize = (values: Float32Array) => { readonly array: HostArray; readonly values: Float32Array };

/**
 * LoftQ (Li et al. 2023, arXiv 2310.08659), algorithm 1: Q = quantize(W - s B A) and s B A = the best rank r approximation of
 * W - Q by turns. Unlike PEFT's, A and B have the scale in them, so that Q + s B A is near W for any alpha.
 * @param iterations rounds, 1 or more; most of the gain is in the first.
 * @throws AdapterError ADAPTER_SITE for a rank that the weight cannot have, or a weight that is not finite.
 */
export async function loftqStart(
  site: Site,
  original: HostWeight,
  options: { readonly rank: number; readonly scale: number; readonly iterations: number; readonly quantize: Quantize },
): Promise<LowRankStart & { readonly base: HostArray }> {
  const { rank, scale, iterations, quantize } = options;
  const weight = await weightOf(site, original, rank, 'loftq');
  let rest = weight;
  for (let round = 1; ; round++) {
    const { array, values } = quantize(rest);
    const pair = singularPair(difference(weight, values), site, rank, scale);
    if (round >= iterations) return { ...pair, base: array };
    rest = residualOf(site, weight, rank, scale, pair);
  }
}

/** W - s B A of a linear layer, each element rounded once to f32. */
export function residualOf(
  site: Site,
  weight: Float32Array,
  rank: number,
  scale: number,
  { a, b }: LowRankStart | HostPair,
): Float32Array {
  const pair = { a: Float64Array.from(a), b: Float64Array.from(b) };
  const rest = weight.slice();
  const columns = site.kind === 'embedding' ? site.outFeatures : site.inFeatures;
  eachRowOfChange(pair, rank, scale, site, (change, row) => {
    for (let i = 0; i < columns; i++) rest[row * columns + i] = rest[row * columns + i]! - change[i]!;
  });
  return rest;
}

/** The pair whose s B A is the best approximation of rank r, its singular values shared out evenly. */
function singularPair(
  weight: Float32Array,
  { inFeatures, outFeatures }: Site,
  rank: number,
  scale: number,
): LowRankStart {
  const { values, left, right } = truncatedSvd(weight, outFeatures, inFeatures, rank);
  const roots = values.map((value) => Math.sqrt(value / scale));
  const a = Float32Array.from(right, (value, i) => roots[Math.floor(i / inFeatures)]! * value);
  const b = new Float32Array(outFeatures * rank);
  for (let k = 0; k < rank; k++) {
    for (let o = 0; o < outFeatures; o++) b[o * rank + k] = roots[k]! * left[k * outFeatures + o]!;
  }
  return { a, b };
}

function onResidual(site: Site, weight: Float32Array, rank: number, scale: number, pair: LowRankStart): StartOnBase {
  const rest = residualOf(site, weight, rank, scale, pair);
  return { ...pair, base: hostWeight([site.outFeatures, site.inFeatures], rest) };
}

function difference(one: Float32Array, other: Float32Array): Float32Array {
  return one.map((value, i) => value - other[i]!);
}

/** The weight's values, checked. */
async function weightOf(site: Site, original: HostWeight, rank: number, init: string): Promise<Float32Array> {
  const { path, inFeatures, outFeatures } = site;
  const most = Math.min(inFeatures, outFeatures);
  if (rank > most) {
    throw new AdapterError(
      'ADAPTER_SITE',
      `init '${init}' cannot have rank ${rank} on ${path} [${outFeatures}, ${inFeatures}]; a weight has no more than ${most} directions, so give a rank for it in rankPattern, or exclude it`,
      { path, value: rank },
    );
  }
  const values = await original.values();
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (values.length === inFeatures * outFeatures && wrong < 0) return values;
  throw new AdapterError(
    'ADAPTER_SITE',
    wrong < 0
      ? `init '${init}' is made of the layer's weight, and ${path} has none; put the adapter on a layer (wrap, inject), or choose another init`
      : `init '${init}': the weight of ${path} has ${values[wrong]} at ${wrong}; a decomposition needs finite numbers`,
    { path, value: values[wrong] },
  );
}
