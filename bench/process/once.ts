import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../../packages/models/src/fetch/cache-folder.ts';

/**
 * A folder of the cache that is filled once; one for each content of `recipe`, a file or a text that says what comes in. What
 * an interrupted run left is thrown away: the stamp is written last.
 */
export async function filledOnce(
  name: string,
  recipe: URL | string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256')
    .update(typeof recipe === 'string' ? recipe : readFileSync(recipe))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder(), 'bench', `${name}-${hash}-${process.platform}-${process.arch}`);
  const stamp = join(folder, '.complete');
  if (existsSync(stamp)) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await fill(folder);
  writeFileSync(stamp, '');
  return folder;
}

export function here(url: string, name: string): string {
  return fileURLToPath(new URL(name, url));
}
