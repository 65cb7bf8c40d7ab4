import { copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmCommand } from '../../../scripts/setup/npm.mjs';
import { filledOnce, here } from '../../process/once.ts';
import { run } from '../../process/run.ts';

/**
 * The folder whose node_modules has the peers of npm, which are no dependencies of the root's: 0.5 GB, installed in the cache
 * when they are first asked for, with the versions of the lockfile beside this file.
 */
export async function npmPeers(): Promise<string> {
  return filledOnce('npm', new URL('package-lock.json', import.meta.url), async (folder) => {
    process.stderr.write('bench: installing the npm peers in the cache, once: 0.5 GB\n');
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
      copyFileSync(here(import.meta.url, file), join(folder, file));
    }
    const [file, ...first] = npmCommand();
    const args = [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    await run(file, args, { cwd: folder, minutes: 20 });
  });
}

/** Imports a package from such a folder. */
export async function importFrom<Module>(folder: string, name: string): Promise<Module> {
  const { resolve } = createRequire(join(folder, 'package.json'));
  return (await import(pathToFileURL(resolve(name)).href)) as Module;
}
