// Finds each import that breaks a rule of .dependency-cruiser.mjs. Through the tool's interface and not its command,
// which warns on every run that it knows no TypeScript 7.
import { cruise } from 'dependency-cruiser';
import config, { resolveOptions } from '../../.dependency-cruiser.mjs';

/**
 * @param {string} baseDir the folder that holds `packages`, and node_modules with links to them
 * @param {string[]} folders
 * @returns {Promise<{ modules: number, violations: string[] }>} a violation reads `rule: from -> to`
 */
export async function findForbiddenImports(baseDir, folders) {
  const { options, ...ruleSet } = config;
  const { output } = await cruise(folders, { ...options, baseDir, ruleSet, validate: true }, resolveOptions);
  if (typeof output === 'string') throw new TypeError('dependency-cruiser returned a report instead of a result');
  const { totalCruised, violations } = output.summary;
  return {
    modules: totalCruised,
    violations: violations.map(({ rule, from, to, cycle }) => {
      const path = cycle ? cycle.map(({ name }) => name).join(' -> ') : to;
      return `${rule.name}: ${from} -> ${path}`;
    }),
  };
}
