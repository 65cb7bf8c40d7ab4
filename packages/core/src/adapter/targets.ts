import { CoreError } from '../errors/core-error.ts';
import type { AdapterConfig, Site } from './adapter.ts';

/** PEFT's rule: a list names whole paths or their last parts; a string is a regular expression on the whole path. */
function matches(path: string, pattern: readonly string[] | string): boolean {
  if (typeof pattern === 'string') {
    if (pattern === '') return false;
    return new RegExp(`^(?:${pattern})$`).test(path);
  }
  return pattern.some((name) => path === name || path.endsWith(`.${name}`));
}

/** The name by which people know a module: the last part of its path. */
const lastPart = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

/**
 * The sites that a configuration asks for. `'all-linear'` is every linear layer but the output head (`lm_head`), as in
 * PEFT.
 * @throws CoreError CORE_NO_TARGET when none match, with the names that exist.
 */
export function selectTargets<T extends Site>(sites: readonly T[], config: AdapterConfig): T[] {
  const { targetModules, excludeModules } = config;
  const wanted = (site: T): boolean =>
    targetModules === 'all-linear'
      ? site.kind === 'linear' && lastPart(site.path) !== 'lm_head'
      : matches(site.path, targetModules);
  const chosen = sites.filter((site) => wanted(site) && !matches(site.path, excludeModules));
  const unmatched =
    typeof targetModules === 'string'
      ? []
      : targetModules.filter((name) => !sites.some((site) => matches(site.path, [name])));
  if (chosen.length === 0 || unmatched.length > 0) {
    const names = [...new Set(sites.map((site) => lastPart(site.path)))].join(', ');
    const asked = unmatched.length > 0 ? unmatched.join(', ') : JSON.stringify(targetModules);
    throw new CoreError(
      'CORE_NO_TARGET',
      `target modules: nothing in this model is named ${asked}; there are ${names} (or 'all-linear')`,
      { value: targetModules },
    );
  }
  return chosen;
}
