import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Entry
 * @property {string} name of what is made in `dist`: `index`
 * @property {string} source its path within `src`, without the ending: `node/index`
 * @property {boolean} declared whether others import it; a command is only started
 */

/**
 * What a package's manifest names in `dist`, and the sources of it: `dist/index.js` is made of `src/index.ts`, `dist/node.js` of
 * `src/node/index.ts`, and `dist/main.js`, which a command starts, of `src/main.ts` or `src/node/main.ts`.
 *
 * @param {string} folder the package's
 * @returns {Entry[]}
 */
export function entries(folder) {
  /** @type {{ exports: Record<string, string | { default: string }>, bin?: Record<string, string> }} */
  const { exports, bin = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const imported = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.default]));
  const entry = (/** @type {string} */ file, /** @type {boolean} */ declared) => {
    const name = /^\.\/dist\/([\w-]+)\.js$/.exec(file)?.[1];
    if (name === undefined) throw new Error(`${folder}/package.json names ${file}, which does not lie in dist itself`);
    const source = [name, `${name}/index`, `node/${name}`].find((path) =>
      existsSync(join(folder, 'src', `${path}.ts`)),
    );
    if (source === undefined) throw new Error(`${folder}/package.json names ${file}, and no source is called that`);
    return { name, source, declared };
  };
  return [...imported.map((file) => entry(file, true)), ...Object.values(bin).map((file) => entry(file, false))];
}
