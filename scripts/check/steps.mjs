import { join } from 'node:path';
import { root } from '../setup/stage.mjs';

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} says what holds when it passes
 * @property {string} [file] the program; Node where left out
 * @property {string[]} args
 */

/** @param {string} name */
const bin = (name) => join(root, 'node_modules', '.bin', name);

/** @type {Step[]} */
export const steps = [
  { name: 'types', says: 'TypeScript, strict, over everything', args: [bin('tsc'), '-p', 'tsconfig.json'] },
  { name: 'lint', says: 'no warnings', args: [bin('oxlint')] },
  {
    name: 'imports',
    says: 'no circular imports; core knows no plugin, plugins know only core',
    args: ['scripts/check/imports-cli.mjs'],
  },
];
