/**
 * Several low-rank pairs as one: the ways of PEFT's `add_weighted_adapter`, in float64. The new pair has the scales in it: its own
 * is 1.
 */
import { truncatedSvd } from '../../numerics/svd.ts';
import { configError, finiteNumber, oneOf, readConfig, wholeNumber } from '../config-fields.ts';
import type { Site } from '../adapter.ts';
import { eachRowOfChange, type HostPair } from './host-pair.ts';
import { disjointMean, dropAndRescale, keepLargest, weightedSum } from './sparsify.ts';

/**
 * How pairs become one. `'cat'` is the weighted sum of the changes exactly, its rank the sum of theirs; `'svd'` the best
 * approximation of it. `'linear'` sums A's and B's each, which has products across adapters in it. `'ties'`, `'dare_linear'`,
 * `'dare_ties'` and `'magnitude_prune'` thin A and B out before they are summed; with `_svd` behind it the whole changes are, and
 * the sum approximated.
 */
export type CombineMethod =
  | 'linear'
  | 'cat'
  | 'svd'
  | 'ties'
  | 'ties_svd'
  | 'dare_linear'
  | 'dare_linear_svd'
  | 'dare_ties'
  | 'dare_ties_svd'
  | 'magnitude_prune'
  | 'magnitude_prune_svd';

/** With every option resolved. */
export interface CombineSettings {
  readonly method: CombineMethod;
  /** Share of the numbers that thinning out leaves: (0, 1]. */
  readonly density: number;
  /** How TIES elects an element's sign. */
  readonly majoritySign: 'total' | 'frequency';
  /** Of the result, for the svd kinds; 0: the largest of the parts' ranks. */
  readonly rank: number;
  /** For the svd kinds: numbers beyond this quantile of both halves are cut off there; 1: none. */
  readonly clamp: number;
  /** Names DARE's random numbers. */
  readonly seed: number;
}

/** Options and their defaults: `method` 'cat', `density` 0.5, `majoritySign` 'total', `rank` 0, `clamp` 1, `seed` 0. */
export type CombineOptions = { readonly [K in keyof CombineSettings]?: CombineSettings[K] | undefined };

const fields = {
  method: oneOf<CombineMethod>('cat', [
    'linear',
    'cat',
    'svd',
    'ties',
    'ties_svd',
    'dare_linear',
    'dare_linear_svd',
    'dare_ties',
    'dare_ties_svd',
    'magnitude_prune',
    'magnitude_prune_svd',
  ]),
  density: finiteNumber(0.5, 'a number above 0 and up to 1', (value) => value > 0 && value <= 1),
  majoritySign: oneOf<'total' | 'frequency'>('total', ['total', 'frequency']),
  rank: wholeNumber(0, 0, 65536),
  clamp: finiteNumber(1, 'a quantile above 0 and up to 1', (value) => value > 0 && value <= 1),
  seed: wholeNumber(0, 0, Number.MAX_SAFE_INTEGER),
};

/** @throws AdapterError ADAPTER_CONFIG; `path` is the option that is wrong or unknown. */
export function parseCombineOptions(options: unknown): CombineSettings {
  return readConfig('combine', options, fields);
}

/** One adapter's pair at a site, and its part in the whole. */
export interface WeightedPair extends HostPair {
  readonly rank: number;
  /** The adapter's own: alpha / rank. */
  readonly scale: number;
  /** May be negative. */
  readonly weight: number;
  /** 1 or 0 for each number, for DARE: what of A, of B, or of the whole change s B A [out, in] stays. */
  readonly keep: (part: 'A' | 'B' | 'change', length: number) => ArrayLike<number>;
}

/**
 * The pair that the others make together at one site, for a scale of 1.
 * @throws AdapterError ADAPTER_CONFIG where the method needs equal ranks and they differ.
 */
export function combinePairs(
  parts: readonly WeightedPair[],
  site: Site,
  settings: CombineSettings,
): HostPair & { readonly rank: number } {
  const { method } = settings;
  if (method === 'cat') return concatenated(parts, site);
  if (method === 'svd' || method.endsWith('_svd')) return approximated(parts, site, settings);
  const [first] = parts;
  const rank = first!.rank;
  const other = parts.find((part) => part.rank !== rank);
  if (other !== undefined) {
    throw configError(
      'combine',
      'method',
      method,
      `'${method}' needs equal ranks, on ${site.path} they are ${rank} and ${other.rank}; 'cat' and the svd kinds take any`,
    );
  }
  // The root on both halves; a negative weight's sign on one of them.
  const roots = parts.map(({ scale, weight }) => Math.sqrt(Math.abs(weight * scale)));
  const signed = roots.map((root, t) => Math.sign(parts[t]!.weight) * root);
  return {
    rank,
    a: merged(
      parts.map(({ a }) => a),
      signed,
      settings,
      (t, length) => parts[t]!.keep('A', length),
    ),
    b: merged(
      parts.map(({ b }) => b),
      roots,
      settings,
      (t, length) => parts[t]!.keep('B', length),
    ),
  };
}

/** [w s A; ...] and [B, ...]: the sum itself. */
function concatenated(parts: readonly WeightedPair[], { inFeatures, outFeatures }: Site): HostPair & { rank: number } {
  const rank = parts.reduce((sum, part) => sum + part.rank, 0);
  const [a, b] = [new Float64Array(rank * inFeatures), new Float64Array(outFeatures * rank)];
  let start = 0;
  for (const part of parts) {
    a.set(
      part.a.map((value) => part.weight * part.scale * value),
      start * inFeatures,
    );
    for (let row = 0; row < outFeatures; row++) {
      b.set(part.b.subarray(row * part.rank, (row + 1) * part.rank), row * rank + start);
    }
    start += part.rank;
  }
  return { a, b, rank };
}

/** The best approximation of the changes' combination: B = U S, A = V^T. */
function approximated(
  parts: readonly WeightedPair[],
  site: Site,
  settings: CombineSettings,
): HostPair & { rank: number } {
  const { inFeatures, outFeatures } = site;
  const changes = parts.map((part) => changeOf(part, site));
  const method = settings.method === 'svd' ? 'linear' : (settings.method.slice(0, -'_svd'.length) as CombineMethod);
  const weights = parts.map(({ weight }) => weight);
  const whole = merged(changes, weights, { ...settings, method }, (t, length) => parts[t]!.keep('change', length));
  const wanted = settings.rank === 0 ? Math.max(...parts.map((part) => part.rank)) : settings.rank;
  const rank = Math.min(wanted, inFeatures, outFeatures);
  const { values, left, right } = truncatedSvd(whole, outFeatures, inFeatures, rank);
  const b = new Float64Array(outFeatures * rank);
  for (let k = 0; k < rank; k++) {
    for (let o = 0; o < outFeatures; o++) b[o * rank + k] = values[k]! * left[k * outFeatures + o]!;
  }
  const limit = quantile([b, right], settings.clamp);
  const cut = (value: number): number => Math.min(Math.max(value, -limit), limit);
  return { a: right.map(cut), b: b.map(cut), rank };
}

/** s B A, [out, in] for an embedding, too. */
function changeOf(part: WeightedPair, site: Site): Float64Array {
  const change = new Float64Array(site.outFeatures * site.inFeatures);
  eachRowOfChange(part, part.rank, part.scale, { ...site, kind: 'linear' }, (row, o) =>
    change.set(row, o * site.inFeatures),
  );
  return change;
}

/** Thins out as the method says, and sums. */
function merged(
  tasks: readonly Float64Array[],
  weights: readonly number[],
  { method, density, majoritySign }: CombineSettings,
  keep: (task: number, length: number) => ArrayLike<number>,
): Float64Array {
  const dropped = (): Float64Array[] => tasks.map((task, t) => dropAndRescale(task, density, keep(t, task.length)));
  const pruned = (): Float64Array[] => tasks.map((task) => keepLargest(task, density));
  switch (method) {
    case 'ties':
      return disjointMean(pruned(), weights, majoritySign);
    case 'dare_ties':
      return disjointMean(dropped(), weights, majoritySign);
    case 'dare_linear':
      return weightedSum(dropped(), weights);
    case 'magnitude_prune':
      return weightedSum(pruned(), weights);
    default:
      return weightedSum(tasks, weights);
  }
}

/** The value below which that share of all numbers lies, between two of them linearly; Infinity for all of them. */
function quantile(halves: readonly Float64Array[], share: number): number {
  if (share === 1) return Infinity;
  const sorted = Float64Array.from(halves.flatMap((half) => [...half])).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (place - below) * (high - low);
}
