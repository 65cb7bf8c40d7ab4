import type { HostArray } from '../../host/arrays.ts';
import type { HostState, Site } from '../adapter.ts';
import type { HostWeight } from '../host-weight.ts';
import { hostWeight } from '../host-weight.ts';
import { lowRankAt, lowRankScale, type LowRankConfig } from './config.ts';
import { residualOf } from './from-weight.ts';
import { hostPair, hostValues, type HostPair } from './host-pair.ts';

/** A pair with its own rank and alpha. */
export interface ExportedPair extends HostPair {
  readonly rank: number;
  readonly alpha: number;
}

/** Whether an adapter's files hold twice its rank: it started by taking s B0 A0 out of the base. */
export function doublesRank({ init }: Pick<LowRankConfig, 'init'>): boolean {
  return init === 'pissa' || init === 'olora';
}

/** What becomes of alpha when the rank doubles and the scale stays: 2 alpha, with rsLoRA sqrt(2) alpha. */
export function doubledAlpha({ useRslora }: Pick<LowRankConfig, 'useRslora'>, alpha: number): number {
  return alpha * (useRslora ? Math.SQRT2 : 2);
}

/**
 * The pair whose change stands on the original weight, for files. After PiSSA and OLoRA it is the difference to the start, of
 * rank 2 r: s B A - s B0 A0 = s [B, -B0] [A; A0]. Where nothing was taken out of the base, A0 and B0 are zeros: all pairs of one
 * adapter have the form that its configuration says.
 * @param type the adapter's, for messages.
 */
export function pairOnOriginal(type: string, state: HostState, config: LowRankConfig, site: Site): ExportedPair {
  const { rank, alpha, useRslora, init } = lowRankAt(config, site.path);
  const { a, b } = hostPair(type, state, rank, site);
  if (!doublesRank({ init })) return { a, b, rank, alpha };
  const start = startPair(type, state, rank, site);
  const twice = 2 * rank;
  const [wideA, wideB] = [new Float64Array(2 * a.length), new Float64Array(2 * b.length)];
  wideA.set(a);
  for (let row = 0; row < site.outFeatures; row++) wideB.set(b.subarray(row * rank, (row + 1) * rank), row * twice);
  if (start !== undefined) {
    wideA.set(start.a, a.length);
    for (let row = 0; row < site.outFeatures; row++) {
      for (let k = 0; k < rank; k++) wideB[row * twice + rank + k] = -start.b[row * rank + k]!;
    }
  }
  return { a: wideA, b: wideB, rank: twice, alpha: doubledAlpha({ useRslora }, alpha) };
}

/** A state with that pair for A and B, and without A0 and B0. */
export function stateOnOriginal(type: string, state: HostState, config: LowRankConfig, site: Site): HostState {
  if (!doublesRank(config)) return state;
  const { a, b, rank } = pairOnOriginal(type, state, config, site);
  const others = Object.entries(state.buffers).filter(([name]) => name !== 'A0' && name !== 'B0');
  const params = {
    ...state.params,
    A: f32(a, [rank, site.inFeatures]),
    B: f32(b, [site.outFeatures, rank]),
  };
  return { params, buffers: Object.fromEntries(others) };
}

/**
 * The weight that A and B stand on, in the original's layout: the original, or what PiSSA and OLoRA left of it. The rounding to
 * f32 is that of the layer's weight while the adapter is on.
 * @param original [out, in]; an embedding's [vocabulary, dimension].
 */
export async function baseUnder(
  type: string,
  original: HostWeight,
  state: HostState,
  config: LowRankConfig,
  site: Site,
): Promise<HostWeight> {
  if (state.base !== undefined) return state.base;
  const here = lowRankAt(config, site.path);
  const start = startPair(type, state, here.rank, site);
  if (start === undefined) return original;
  return hostWeight(original.shape, residualOf(site, await original.values(), here.rank, lowRankScale(here), start));
}

/** A0 and B0 of a state that has them. */
function startPair(type: string, { buffers }: HostState, rank: number, site: Site): HostPair | undefined {
  if (buffers['A0'] === undefined && buffers['B0'] === undefined) return undefined;
  return {
    a: hostValues(type, buffers['A0'], [rank, site.inFeatures], `${site.path}.A0`),
    b: hostValues(type, buffers['B0'], [site.outFeatures, rank], `${site.path}.B0`),
  };
}

function f32(values: Float64Array, shape: readonly number[]): HostArray {
  return { format: 'f32', shape, data: new Float32Array(values) };
}
