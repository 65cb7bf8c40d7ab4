import { writeAtomically } from './atomic-file.ts';
import { messageOf } from './byte-source.ts';
import type { GgufContents } from './file-layout.ts';
import { layOut, pieces } from './file-layout.ts';
import { GgufError } from './gguf-error.ts';

/**
 * Writes a GGUF of version 3 (Node only): streamed, one tensor in memory at a time, and atomic, so that `path` holds the old
 * file or the whole new one. Resolves to the bytes written.
 * Rejects before anything is written with `GGUF_INVALID` or `GGUF_UNSUPPORTED_TYPE` for contents that cannot be a GGUF, later with
 * `GGUF_IO`, or as a tensor's `load` does; nothing is left behind then.
 */
export async function writeGguf(path: string, contents: GgufContents): Promise<number> {
  const layout = layOut(contents);
  await writeAtomically(path, pieces(layout));
  return layout.size;
}

/** The same file as bytes in memory, for browsers. Rejects as {@link writeGguf}, or with `GGUF_OUT_OF_MEMORY`. */
export async function encodeGguf(contents: GgufContents): Promise<Uint8Array> {
  const layout = layOut(contents);
  let file: Uint8Array;
  try {
    file = new Uint8Array(layout.size);
  } catch (cause) {
    throw new GgufError(
      'GGUF_OUT_OF_MEMORY',
      `There is no memory for a file of ${layout.size} bytes: ${messageOf(cause)}. Write it to disk.`,
      {
        value: layout.size,
        cause,
      },
    );
  }
  let offset = 0;
  for await (const piece of pieces(layout)) {
    file.set(piece, offset);
    offset += piece.length;
  }
  return file;
}
