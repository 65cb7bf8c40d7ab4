import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { collect } from './stage.mjs';

/**
 * npm's own program, to be started by Node: the one that started us (a machine may have no other way to it), else the
 * one that came with this Node. Undefined where there is neither.
 *
 * @returns {string | undefined}
 */
export function npmProgram() {
  const started = process.env['npm_execpath'] ?? '';
  if (/^npm-cli\.[cm]?js$/.test(basename(started))) return started;
  const home = dirname(process.execPath);
  return [join(home, '..', 'lib'), home]
    .map((folder) => join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js'))
    .find((file) => existsSync(file));
}

/**
 * Runs npm in the repository's root.
 *
 * @param {string[]} args
 */
export function npm(args) {
  const program = npmProgram();
  return program === undefined ? collect('npm', args) : collect(process.execPath, [program, ...args]);
}
