import { homedir } from 'node:os';
import { join } from 'node:path';

/** What decides where the cache lies. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/** Where downloaded models are kept: `$LOWRANK_CACHE`, else a folder `lowrank` in the system's place for caches. */
export function cacheFolder(
  { platform, env, home }: Surroundings = { platform: process.platform, env: process.env, home: homedir() },
): string {
  const given = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const own = given('LOWRANK_CACHE');
  if (own !== undefined) return own;
  if (platform === 'win32') return join(given('LOCALAPPDATA') ?? join(home, 'AppData', 'Local'), 'lowrank', 'Cache');
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'lowrank');
  return join(given('XDG_CACHE_HOME') ?? join(home, '.cache'), 'lowrank');
}
