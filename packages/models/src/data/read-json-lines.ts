import { createReadStream } from 'node:fs';
import { ModelsError } from '../models-error.ts';
import { readLines } from './lines.ts';
import { parseRecord } from './record.ts';
import type { DataRecord } from './record.ts';

/** A record and the line it stands on, from 1. */
export interface NumberedRecord {
  readonly line: number;
  readonly record: DataRecord;
}

/**
 * The records of a JSON Lines file, one after the other; blank lines are passed over.
 * @throws ModelsError MODELS_DATA_LINE with the line's number and what is wrong with it; MODELS_DATA_EMPTY where there is
 * no record at all; MODELS_DATA_FILE where the file cannot be read.
 */
export async function* readJsonLines(path: string): AsyncGenerator<NumberedRecord> {
  let count = 0;
  for await (const { number, text } of readLines(readChunks(path), path)) {
    if (text.trim() === '') continue;
    count++;
    const problem = (what: string, cause?: unknown): ModelsError =>
      new ModelsError('MODELS_DATA_LINE', `${path}, line ${number}: ${what}`, { value: text.slice(0, 200), cause });
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw problem(`not valid JSON (${(cause as Error).message}); each line is one JSON object`, cause);
    }
    const record = parseRecord(value);
    if (typeof record === 'string') throw problem(record);
    yield { line: number, record };
  }
  if (count === 0) {
    throw new ModelsError('MODELS_DATA_EMPTY', `${path} has no records; it needs at least one line of JSON`, {
      value: path,
    });
  }
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw new ModelsError('MODELS_DATA_FILE', `cannot read the data set ${path}: ${(cause as Error).message}`, {
      value: path,
      cause,
    });
  }
}
