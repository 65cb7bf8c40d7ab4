import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../packages/models/src/fetch/cache-folder.ts';
import { root } from '../setup/stage.mjs';

/** package.json and package-lock.json of what is installed, apart from the root's. */
export const recipe = join(root, 'tools', 'tfjs-node');

/** Where it is installed: in the cache, so that another clone finds it; one folder for each lockfile and system. */
export const folder = join(
  cacheFolder(),
  'tfjs-node',
  [
    createHash('sha256')
      .update(readFileSync(join(recipe, 'package-lock.json')))
      .digest('hex')
      .slice(0, 12),
    process.platform,
    process.arch,
  ].join('-'),
);

/** The package @tensorflow/tfjs-node there. */
export const tfjsNode = join(folder, 'node_modules', '@tensorflow', 'tfjs-node');
