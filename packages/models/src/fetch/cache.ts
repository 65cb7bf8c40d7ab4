/** Models in the cache. Beside each lies a note of what it was when verified, so that it is not read whole each time. */
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sha256OfFile } from './checksum.ts';

interface Note {
  readonly bytes: number;
  readonly sha256: string;
  /** `mtimeMs` of the file that was verified. */
  readonly modified: number;
}

/** Whether a file is in the cache with the bytes it should have: those of `sha256`, or else those its note tells of. */
export async function isIntact(path: string, sha256: string | undefined): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) return false;
  const note = await readNote(path);
  const expected = sha256 ?? note?.sha256;
  if (expected === undefined) return false;
  if (note?.sha256 === expected && note.bytes === found.size && note.modified === found.mtimeMs) return true;
  if ((await sha256OfFile(path)) !== expected) return false;
  // A cache that cannot be written to is still good to read.
  await writeNote(path, expected).catch(() => undefined);
  return true;
}

/** Moves a verified file to its place in the cache: synced, then renamed. */
export async function moveIntoCache(part: string, path: string, sha256: string): Promise<void> {
  await sync(part, 'r+');
  await rename(part, path);
  // Folders cannot be synced on every system; the rename is atomic all the same.
  await sync(dirname(path), 'r').catch(() => undefined);
  await writeNote(path, sha256);
}

async function sync(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const noteOf = (path: string): string => `${path}.sha256.json`;

async function readNote(path: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(noteOf(path), 'utf8')) as Note;
  } catch {
    return undefined;
  }
}

async function writeNote(path: string, sha256: string): Promise<void> {
  const { size, mtimeMs } = await stat(path);
  const note: Note = { bytes: size, sha256, modified: mtimeMs };
  const temporary = `${noteOf(path)}.${randomUUID()}`;
  await writeFile(temporary, `${JSON.stringify(note)}\n`);
  await rename(temporary, noteOf(path));
}
