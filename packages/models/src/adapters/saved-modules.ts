import { matchesModuleOrParent, type AdapterConfig } from '@lowrank/core';
import { sitesOf, type Base } from './base.ts';

/**
 * The shape of a tensor of the base that an adapter may bring along trained, by name (`lm_head.weight`); undefined where the
 * base has no such tensor, or the configuration asks for none.
 */
export function savedModuleShape(base: Base, name: string, config: AdapterConfig): readonly number[] | undefined {
  const match = /^(.+)\.(weight|bias)$/.exec(name);
  if (match === null) return undefined;
  const [, path, part] = match as unknown as [string, string, 'weight' | 'bias'];
  const saved = matchesModuleOrParent(path, config.modulesToSave ?? []);
  if (!saved && (part !== 'bias' || (config.bias ?? 'none') === 'none')) return undefined;
  const site = sitesOf(base).find((candidate) => candidate.path === path);
  if (site === undefined) {
    return part === 'weight' && /(?:^model\.norm|_layernorm)$/.test(path) ? [base.config.hiddenSize] : undefined;
  }
  if (part === 'bias') return [site.outFeatures];
  return site.kind === 'embedding' ? [site.inFeatures, site.outFeatures] : [site.outFeatures, site.inFeatures];
}
