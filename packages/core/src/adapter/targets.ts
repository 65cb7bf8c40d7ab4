import { CoreError } from '../errors/core-error.ts';
import type { AdapterConfig, Site } from './adapter.ts';

/** PEFT's rule: a list names whole paths or their last parts; a string is a regular expression on the whole path. */
export function matchesModule(path: string, pattern: readonly string[] | string): boolean {
  if (typeof pattern === 'string') {
    if (pattern === '') return false;
    return new RegExp(`^(?:${pattern})$`).test(path);
  }
  return pattern.some((name) => path === name || path.endsWith(`.${name}`));
}

/** Whether a list names a module, or one that it is part of. */
export function matchesModuleOrParent(path: string, names: readonly string[]): boolean {
  for (let part = path; part !== ''; part = part.slice(0, Math.max(part.lastIndexOf('.'), 0))) {
    if (matchesModule(part, names)) return true;
  }
  return false;
}

/** The name by which people know a module: the last part of its path. */
const lastPart = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

/**
 * The value that a table of patterns has for a module, by PEFT's rule: a key is a regular expression that the path ends with,
 * at a dot (`(.*\.)?(key)$`); the first that matches counts.
 */
export function patternValue<T>(table: Readonly<Record<string, T>>, path: string, fallback: T): T {
  for (const [key, value] of Object.entries(table)) {
    if (new RegExp(`^(?:.*\\.)?(?:${key})$`).test(path)) return value;
  }
  return fallback;
}

/**
 * Whether a module lies in one of the layers, as PEFT counts them: the number after `layers.` (any name, or one of
 * `layersPattern`). A module that is named by its whole path is meant wherever it lies.
 */
function inLayers(path: string, { targetModules, layersToTransform = [], layersPattern = [] }: AdapterConfig): boolean {
  if (layersToTransform.length === 0 || targetModules.includes(path)) return true;
  const lists = layersPattern.length === 0 ? ['[^.]*'] : layersPattern;
  for (const list of lists) {
    const found = new RegExp(`^.*\\.${list}\\.(\\d+)\\.`).exec(path)?.at(-1);
    if (found !== undefined) return layersToTransform.includes(Number(found));
  }
  return false;
}

/**
 * The sites that a configuration asks for. `'all-linear'` is every linear layer but the output head (`lm_head`), as in
 * PEFT, and but those that `modulesToSave` trains whole.
 * @throws CoreError CORE_NO_TARGET when none match, with the names that exist; CORE_ARGUMENT for a module that is also to be
 * trained whole.
 */
export function selectTargets<T extends Site>(sites: readonly T[], config: AdapterConfig): T[] {
  const { targetModules, excludeModules, layersToTransform = [], modulesToSave = [] } = config;
  // Nothing but whole modules is trained.
  if (targetModules.length === 0 && modulesToSave.length > 0) return [];
  const all = targetModules === 'all-linear';
  const wanted = (site: T): boolean =>
    all
      ? site.kind === 'linear' && lastPart(site.path) !== 'lm_head' && !matchesModuleOrParent(site.path, modulesToSave)
      : matchesModule(site.path, targetModules);
  const chosen = sites.filter(
    (site) => wanted(site) && !matchesModule(site.path, excludeModules) && inLayers(site.path, config),
  );
  const unmatched =
    typeof targetModules === 'string'
      ? []
      : targetModules.filter((name) => !sites.some((site) => matchesModule(site.path, [name])));
  if (chosen.length === 0 || unmatched.length > 0) {
    const names = [...new Set(sites.map((site) => lastPart(site.path)))].join(', ');
    const asked = unmatched.length > 0 ? unmatched.join(', ') : JSON.stringify(targetModules);
    const layers = layersToTransform.length === 0 ? '' : ` in the layers ${layersToTransform.join(', ')}`;
    throw new CoreError(
      'CORE_NO_TARGET',
      `target modules: nothing in this model is named ${asked}${layers}; there are ${names} (or 'all-linear')`,
      { value: targetModules },
    );
  }
  const twice = chosen.find((site) => matchesModuleOrParent(site.path, modulesToSave));
  if (twice !== undefined) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `target modules: ${twice.path} is among modulesToSave, too; a module is trained whole or gets the adapter, not both`,
      { value: twice.path },
    );
  }
  return chosen;
}
