// Prints each import that breaks a rule of .dependency-cruiser.mjs.
//
//   node scripts/check/imports.mjs [folder with `packages` in it [folders in it]]
import { createRequire, registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import config, { resolveOptions } from '../../.dependency-cruiser.mjs';
import { root } from '../setup/stage.mjs';

// The tool reads TypeScript by TypeScript's own interface, which version 7 does not have: it gets the 6 of this folder.
const { resolve } = createRequire(import.meta.url);
const ours = new Map(
  ['typescript', 'typescript/package.json'].map((name) => [name, pathToFileURL(resolve(name)).href]),
);
registerHooks({
  resolve(specifier, context, next) {
    const url = ours.get(specifier);
    return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
  },
});
const { allExtensions, cruise } = await import('dependency-cruiser');
if (!allExtensions.some(({ extension, available }) => extension === '.ts' && available)) {
  throw new Error('dependency-cruiser reads no TypeScript: run npm ci');
}

const { options, ...ruleSet } = config;
const [baseDir = root, ...folders] = process.argv.slice(2);
const { output } = await cruise(
  folders.length > 0 ? folders : ['packages', 'bench', 'e2e', 'examples', 'scripts', 'tools'],
  { ...options, baseDir, ruleSet, validate: true },
  resolveOptions,
);
if (typeof output === 'string') throw new TypeError('dependency-cruiser returned a report instead of a result');
const { totalCruised, violations } = output.summary;
for (const { rule, from, to, cycle } of violations) {
  console.log(`${rule.name}: ${from} -> ${cycle ? cycle.map(({ name }) => name).join(' -> ') : to}`);
}
console.log(`${violations.length} forbidden imports in ${totalCruised} modules`);
process.exitCode = violations.length > 0 || totalCruised === 0 ? 1 : 0;
