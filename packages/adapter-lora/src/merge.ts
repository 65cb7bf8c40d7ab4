import {
  baseUnder,
  eachRowOfChange,
  hostPair,
  hostWeight,
  lowRankAt,
  type HostState,
  type HostWeight,
  type Site,
} from '@lowrank/core';
import { loraScale, type LoraConfig } from './config.ts';

/**
 * W + s B A, summed in float64 and rounded once to f32; an embedding's table becomes W + s (B A)^T. W is the weight that A and B
 * stand on: the original, or with PiSSA and OLoRA what those left of it.
 * @param original [out, in]; an embedding's [vocabulary, dimension].
 */
export async function mergeLora(
  original: HostWeight,
  state: HostState,
  config: LoraConfig,
  site: Site,
): Promise<HostWeight> {
  const here = lowRankAt(config, site.path);
  const pair = hostPair('lora', state, here.rank, site);
  const base = await baseUnder('lora', original, state, config, site);
  const merged = (await base.values()).slice();
  const columns = original.shape[1];
  eachRowOfChange(pair, here.rank, loraScale(here), site, (change, row) => {
    const start = row * columns;
    for (let i = 0; i < columns; i++) merged[start + i] = merged[start + i]! + change[i]!;
  });
  return hostWeight(original.shape, merged);
}
