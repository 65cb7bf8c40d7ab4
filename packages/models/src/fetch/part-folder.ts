import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder for unfinished downloads that no one else writes to. */
export interface PartFolder {
  readonly path: string;
  /** Lets go of it; with `done`, removes what is in it. */
  release(done: boolean): Promise<void>;
}

/**
 * The folder of a file's unfinished download. Where another live process is using it, one of its own, which is removed
 * in any case: two may fetch a file at once, the later rename wins with the same bytes.
 */
export async function claimPartFolder(path: string): Promise<PartFolder> {
  await mkdir(path, { recursive: true });
  const owner = join(path, 'owner');
  if (await writeIfAbsent(owner)) return claimed(path, owner);
  if (!isAlive(Number(await readFile(owner, 'utf8').catch(() => '0')))) {
    await writeFile(owner, String(process.pid));
    return claimed(path, owner);
  }
  const own = await mkdtemp(`${path}-`);
  return { path: own, release: () => rm(own, { recursive: true, force: true }) };
}

function claimed(path: string, owner: string): PartFolder {
  return { path, release: (done) => rm(done ? path : owner, { recursive: true, force: true }) };
}

async function writeIfAbsent(owner: string): Promise<boolean> {
  try {
    await writeFile(owner, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
