import { join } from 'node:path';
import { root } from '../setup/stage.mjs';

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} says what holds when it passes
 * @property {string[]} args of Node
 */

/** @param {string} name */
const bin = (name) => join(root, 'node_modules', '.bin', name);

/** @type {Step[]} */
export const steps = [
  { name: 'format', says: 'oxfmt has nothing to change', args: [bin('oxfmt'), '--list-different'] },
  { name: 'types', says: 'TypeScript, strict, over everything', args: [bin('tsc'), '-p', 'tsconfig.json'] },
  { name: 'lint', says: 'no warnings', args: [bin('oxlint')] },
  {
    name: 'imports',
    says: 'no circular imports; core knows no plugin, plugins know core alone',
    args: ['scripts/check/imports.mjs'],
  },
  {
    name: 'build',
    says: 'every package compiles on its own',
    args: [bin('turbo'), 'run', 'build', '--output-logs=errors-only', '--log-order=grouped', '--no-color'],
  },
  { name: 'packages', says: 'publint and attw on what would be published', args: ['scripts/check/tarballs.mjs'] },
  { name: 'lockfile', says: 'npm ci takes it on every system', args: ['scripts/check/lockfile.mjs'] },
  { name: 'changesets', says: 'every package says what is new', args: ['scripts/check/changesets.mjs'] },
];
