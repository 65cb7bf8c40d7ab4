import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/stage.mjs';

/**
 * The packages of this repository that are published.
 *
 * @returns {{ name: string, folder: string }[]}
 */
export function publishedPackages() {
  return readdirSync(join(root, 'packages')).flatMap((entry) => {
    const folder = join(root, 'packages', entry);
    /** @type {{ name: string, private?: boolean }} */
    const { name, private: hidden } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return hidden ? [] : [{ name, folder }];
  });
}
