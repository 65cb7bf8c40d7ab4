import { matchesModuleOrParent, type AdapterConfig } from '@lowrank/core';
import { sitesOf, type Base } from './base.ts';

/** A tensor's name as its module's path and what it is there: `lm_head` and `weight`. */
export function moduleOf(name: string): { readonly path: string; readonly part: 'weight' | 'bias' } | undefined {
  const match = /^(.+)\.(weight|bias)$/.exec(name);
  return match === null ? undefined : { path: match[1]!, part: match[2] as 'weight' | 'bias' };
}

/** Whether PEFT trains a module whole: by the end of its name, or of what it lies in. (Ours go by whole names.) */
export function isSavedByPeft(path: string, names: readonly string[]): boolean {
  const parts = path.split('.');
  return parts.some((_, i) =>
    names.some((name) =>
      parts
        .slice(0, i + 1)
        .join('.')
        .endsWith(name),
    ),
  );
}

/** The modules that an adapter's tensors beside it are of, by their whole paths: what PEFT and we read alike. */
export function savedPaths(modules: Iterable<string>, { modulesToSave = [] }: AdapterConfig): string[] {
  const paths = Array.from(modules, (name) => moduleOf(name)!.path);
  return [...new Set(paths)].filter((path) => matchesModuleOrParent(path, modulesToSave));
}

/**
 * The shape of a tensor of the base that an adapter may bring along trained, by name (`lm_head.weight`); undefined where the
 * base has no such tensor, or the configuration asks for none.
 */
export function savedModuleShape(base: Base, name: string, config: AdapterConfig): readonly number[] | undefined {
  const { path, part } = moduleOf(name) ?? {};
  if (path === undefined) return undefined;
  const saved = isSavedByPeft(path, config.modulesToSave ?? []);
  if (!saved && (part !== 'bias' || (config.bias ?? 'none') === 'none')) return undefined;
  const site = sitesOf(base).find((candidate) => candidate.path === path);
  if (site === undefined) {
    return part === 'weight' && /(?:^model\.norm|_layernorm)$/.test(path) ? [base.config.hiddenSize] : undefined;
  }
  if (part === 'bias') return [site.outFeatures];
  return site.kind === 'embedding' ? [site.inFeatures, site.outFeatures] : [site.outFeatures, site.inFeatures];
}
