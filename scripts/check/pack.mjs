import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from '../setup/npm.mjs';
import { publishedPackages } from './packages.mjs';

/**
 * Packs every published package as `npm publish` would.
 *
 * @param {string} destination an empty folder
 * @returns {Promise<string[]>} the tarballs
 */
export async function packAll(destination) {
  const folders = publishedPackages().map(({ folder }) => folder);
  const { code, output } = await npm(['pack', ...folders, '--pack-destination', destination]);
  if (code !== 0) throw new Error(`npm pack failed\n${output}`);
  return readdirSync(destination).map((file) => join(destination, file));
}
