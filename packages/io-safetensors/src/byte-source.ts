import { SafetensorsError } from './safetensors-error.ts';

/** Random access to a file's bytes, wherever they are. io-gguf's sources are such sources too. */
export interface ByteSource {
  /** What to call it in messages: a path, a URL. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; rejects where it cannot give them. May be a view of memory that the source keeps. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A file that is already in memory (its arrays are views of it), or a `Blob` or `File`, which is read by ranges. */
export function bytesSource(bytes: Uint8Array | Blob, name: string = 'these bytes'): ByteSource {
  return {
    name,
    size: bytes instanceof Uint8Array ? bytes.byteLength : bytes.size,
    async read(offset, length) {
      if (bytes instanceof Uint8Array) return bytes.subarray(offset, offset + length);
      try {
        return new Uint8Array(await bytes.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new SafetensorsError(
          'SAFETENSORS_IO',
          `Could not read ${length} bytes at byte ${offset} of ${name}: ${messageOf(cause)}`,
          { file: name, cause },
        );
      }
    },
    async close() {},
  };
}

/** Reads from a source and holds it to its word. */
export async function readExactly(source: ByteSource, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await source.read(offset, length);
  if (bytes.byteLength !== length) {
    throw new SafetensorsError(
      'SAFETENSORS_TRUNCATED',
      `Asked for ${length} bytes at byte ${offset} of ${source.name} but got ${bytes.byteLength}: the file changed while it was read, or is cut off.`,
      { file: source.name, value: bytes.byteLength },
    );
  }
  // A plain view: Node's Buffer, which a source may return, gives `slice` another meaning.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
}

/** An unknown error's message. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
