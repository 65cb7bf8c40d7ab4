import type { FileHandle } from 'node:fs/promises';
import type { ByteSource } from './byte-source.ts';
import { messageOf } from './byte-source.ts';
import { SafetensorsError } from './safetensors-error.ts';

/** A read larger than this is done in pieces: the system's calls take at most 2 GiB. */
const largestRead = 2 ** 30;

/**
 * A file on disk, read by ranges (Node only).
 * Throws `SAFETENSORS_NOT_FOUND` where there is none and `SAFETENSORS_IO` where it cannot be opened or is no file.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const { open } = await import('node:fs/promises');
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new SafetensorsError('SAFETENSORS_NOT_FOUND', `There is no file ${path}. Check the path.`, {
        file: path,
        value: path,
        cause,
      });
    }
    throw new SafetensorsError('SAFETENSORS_IO', `Could not open ${path}: ${messageOf(cause)}`, {
      file: path,
      value: path,
      cause,
    });
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new SafetensorsError('SAFETENSORS_IO', `${path} is not a file. Give the path of a .safetensors file.`, {
        file: path,
        value: path,
      });
    }
    return new FileSource(path, stats.size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  #handle: FileHandle | undefined;

  constructor(name: string, size: number, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const handle = this.#handle;
    if (handle === undefined) {
      throw new SafetensorsError('SAFETENSORS_CLOSED', `${this.name} was closed. Open it again to read from it.`, {
        file: this.name,
      });
    }
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      let got: number;
      try {
        got = (await handle.read(bytes, done, Math.min(length - done, largestRead), offset + done)).bytesRead;
      } catch (cause) {
        throw new SafetensorsError(
          'SAFETENSORS_IO',
          `Could not read ${length} bytes at byte ${offset} of ${this.name}: ${messageOf(cause)}`,
          { file: this.name, cause },
        );
      }
      if (got === 0) return bytes.subarray(0, done);
      done += got;
    }
    return bytes;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}
