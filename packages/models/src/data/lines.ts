import { ModelsError } from '../models-error.ts';

/** A line without its end, and its number from 1. */
export interface Line {
  readonly number: number;
  readonly text: string;
}

/** Longer lines are taken for a file of another kind. */
const MAXIMUM_LINE_BYTES = 64 * 1024 * 1024;

/**
 * The lines of a UTF-8 file that arrives in pieces; a byte order mark at its beginning is left out.
 * @param source what errors call the file.
 * @throws ModelsError MODELS_DATA_LINE for a line that is not UTF-8 or longer than 64 MiB.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, source: string): AsyncGenerator<Line> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let number = 0;
  const line = (): Line => {
    number++;
    const bytes = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: number > 1 }).decode(bytes);
      return { number, text: text.endsWith('\r') ? text.slice(0, -1) : text };
    } catch (cause) {
      throw new ModelsError(
        'MODELS_DATA_LINE',
        `${source}, line ${number}: not valid UTF-8; convert the file to UTF-8`,
        { value: number, cause },
      );
    }
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      yield line();
      start = end + 1;
    }
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.length - start;
      if (pendingBytes > MAXIMUM_LINE_BYTES) {
        throw new ModelsError(
          'MODELS_DATA_LINE',
          `${source}, line ${number + 1}: longer than ${MAXIMUM_LINE_BYTES} bytes; a data set holds one JSON object a line (JSON Lines)`,
          { value: number + 1 },
        );
      }
    }
  }
  if (pendingBytes > 0) yield line();
}
