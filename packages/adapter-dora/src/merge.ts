import {
  AdapterError,
  baseUnder,
  eachRowOfChange,
  hostPair,
  hostValues,
  hostWeight,
  lowRankAt,
  type HostState,
  type HostWeight,
  type Site,
} from '@lowrank/core';
import { doraScale, type DoraConfig } from './config.ts';
import { weightNorms } from './norm.ts';

/**
 * m (W + s B A) / ||W + s B A||, in float64 and rounded once to f32; an embedding's table by its columns. The norm is that of
 * the live layer: ||W||^2 is the kept norm's square.
 * @param original [out, in]; an embedding's [vocabulary, dimension].
 * @throws AdapterError ADAPTER_STATE where the weight is not the one that the adapter was made for.
 */
export async function mergeDora(
  original: HostWeight,
  state: HostState,
  config: DoraConfig,
  site: Site,
): Promise<HostWeight> {
  const { path, outFeatures, kind } = site;
  const here = lowRankAt(config, path);
  const { rank } = here;
  const pair = hostPair('dora', state, rank, site);
  const magnitude = hostValues('dora', state.params['magnitude'], [outFeatures], `${path}.magnitude`);
  const norms = hostValues('dora', state.buffers['weightNorm'], [outFeatures], `${path}.weightNorm`);
  const base = await baseUnder('dora', original, state, config, site);
  await checkBase(base, norms, site);

  const weight = await base.values();
  const columns = original.shape[1];
  const scale = doraScale(here);
  const squares = norms.map((norm) => norm * norm);
  eachRowOfChange(pair, rank, scale, site, (change, row) => {
    for (let column = 0; column < columns; column++) {
      const output = kind === 'embedding' ? column : row;
      const moved = change[column]!;
      squares[output] = squares[output]! + moved * (2 * weight[row * columns + column]! + moved);
    }
  });
  const gains = squares.map((square, output) => {
    const norm = Math.sqrt(Math.max(square, 0));
    return magnitude[output]! / (norm === 0 ? 1 : norm);
  });
  const merged = new Float32Array(weight.length);
  eachRowOfChange(pair, rank, scale, site, (change, row) => {
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      merged[at] = gains[kind === 'embedding' ? column : row]! * (weight[at]! + change[column]!);
    }
  });
  return hostWeight(original.shape, merged);
}

/** The scaling is of one weight: another one, say with a second adapter merged into it, would come out wrong without a word. */
async function checkBase(original: HostWeight, norms: Float64Array, site: Site): Promise<void> {
  const found = await weightNorms(original, site);
  const wrong = norms.findIndex((norm, output) => !Object.is(norm, found[output]));
  if (wrong < 0) return;
  throw new AdapterError(
    'ADAPTER_STATE',
    `dora: the weight of ${site.path} is not the one that this adapter was trained on (output ${wrong} has norm ${found[wrong]}, it was ${norms[wrong]}); load it on that base, and merge DoRA before any other adapter`,
    { path: site.path, value: found[wrong] },
  );
}
