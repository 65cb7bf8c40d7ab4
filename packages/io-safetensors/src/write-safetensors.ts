import { writeAtomically } from './atomic-file.ts';
import type { FileLayout, SafetensorsContents } from './file-layout.ts';
import { layOut, pieces, placeAll } from './file-layout.ts';

/** transformers and PEFT refuse a file that does not name a framework. */
export const defaultMetadata: Readonly<Record<string, string>> = { format: 'pt' };

/**
 * Writes a safetensors file (Node only): streamed, one tensor in memory at a time, and atomic, so that `path` holds the
 * old file or the whole new one. Resolves to the bytes written.
 * Rejects before anything is written with `SAFETENSORS_INVALID` or `SAFETENSORS_UNSUPPORTED_TYPE` for contents that cannot be such
 * a file, later with `SAFETENSORS_IO`, or as a tensor's `load` does; nothing is left behind then.
 */
export async function writeSafetensors(path: string, contents: SafetensorsContents): Promise<number> {
  const layout = layoutOf(contents);
  await writeAtomically(path, pieces(layout));
  return layout.size;
}

/** The same file as bytes in memory, for browsers. Rejects as {@link writeSafetensors}. */
export async function encodeSafetensors(contents: SafetensorsContents): Promise<Uint8Array> {
  const layout = layoutOf(contents);
  const file = new Uint8Array(layout.size);
  let offset = 0;
  for await (const piece of pieces(layout)) {
    file.set(piece, offset);
    offset += piece.length;
  }
  return file;
}

function layoutOf({ metadata = defaultMetadata, tensors }: SafetensorsContents): FileLayout {
  return layOut(placeAll(tensors), metadata);
}
