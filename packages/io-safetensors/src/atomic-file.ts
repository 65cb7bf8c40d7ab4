import type { FileHandle } from 'node:fs/promises';
import { messageOf } from './byte-source.ts';
import { SafetensorsError } from './safetensors-error.ts';

/** A write larger than this is done in pieces: the system's calls take at most 2 GiB. */
const largestWrite = 2 ** 30;

/**
 * Writes a file that is there whole or not at all, whenever the process dies: under a temporary name in the same folder, synced,
 * renamed, the folder synced (Node only). On failure the temporary file is removed and what stood there before still stands.
 * Rejects with `SAFETENSORS_IO` where the system refuses, and as `pieces` does.
 */
export async function writeAtomically(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const { open, rename, rm } = await import('node:fs/promises');
  const { basename, dirname, join } = await import('node:path');
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path).slice(0, 100)}.${crypto.randomUUID()}.tmp`);
  const guard = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      throw new SafetensorsError(
        'SAFETENSORS_IO',
        `Could not write ${path}: ${messageOf(cause)}. Check that the folder exists, is writable and has room.`,
        { file: path, value: path, cause },
      );
    }
  };
  const handle = await guard(open(temporary, 'wx'));
  try {
    try {
      for await (const piece of pieces) await guard(writeAll(handle, piece));
      await guard(handle.sync());
    } finally {
      await guard(handle.close());
    }
    await guard(rename(temporary, path));
  } catch (error) {
    // Where even this fails, the first error is still the one to tell.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await guard(syncFolder(folder, open));
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, Math.min(bytes.length - done, largestWrite))).bytesWritten;
  }
}

/** Some systems open or sync no folders: Windows, network file systems, folders that may be written but not listed. */
const unsyncable: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP']);

async function syncFolder(folder: string, open: (path: string, flags: string) => Promise<FileHandle>): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    if (!unsyncable.has((error as NodeJS.ErrnoException).code)) throw error;
  } finally {
    await handle?.close();
  }
}
