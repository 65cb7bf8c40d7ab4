import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { collect } from './stage.mjs';

/**
 * How to start npm: by Node from its own program, the one that started us or else the one that came with this Node, for
 * on Windows its command is no program; by its command where neither is there.
 *
 * @returns {[file: string, ...args: string[]]}
 */
export function npmCommand() {
  const started = process.env['npm_execpath'] ?? '';
  if (/^npm-cli\.[cm]?js$/.test(basename(started))) return [process.execPath, started];
  const home = dirname(process.execPath);
  const own = [join(home, '..', 'lib'), home]
    .map((folder) => join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js'))
    .find((file) => existsSync(file));
  return own === undefined ? ['npm'] : [process.execPath, own];
}

/**
 * Runs npm in the repository's root.
 *
 * @param {string[]} args
 */
export function npm(args) {
  const [file, ...first] = npmCommand();
  return collect(file, [...first, ...args]);
}
