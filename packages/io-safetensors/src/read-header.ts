import type { ArrayFormat } from '@lowrank/core';
import type { ByteSource } from './byte-source.ts';
import { messageOf, readExactly } from './byte-source.ts';
import { dtypeNamed, type SafetensorsDtype } from './dtypes.ts';
import { duplicateKey } from './json-keys.ts';
import { SafetensorsError } from './safetensors-error.ts';

/** What the header says of a tensor. */
export interface SafetensorsTensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  /** What `read` gives; undefined for types that core has no array format for. */
  readonly format: ArrayFormat | undefined;
  /** Row-major, outermost axis first. */
  readonly shape: readonly number[];
  /** Of the data, from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  /** `__metadata__`: `format` ("pt") and whatever else its writer put there. */
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensorInfo>;
}

/** The longest header that the format's own library takes. */
export const longestHeader = 100_000_000;
const lengthBytes = 8;

/** Reads and checks a file's header. Memory is taken only for what the file can hold. */
export async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { name: file, size } = source;
  if (size < lengthBytes) {
    throw new SafetensorsError(
      'SAFETENSORS_TRUNCATED',
      `${file} has ${size} bytes; a safetensors file begins with ${lengthBytes} that say how long its header is. Get the file again.`,
      { file, value: size },
    );
  }
  const start = await readExactly(source, 0, lengthBytes);
  const length = new DataView(start.buffer, start.byteOffset, lengthBytes).getBigUint64(0, true);
  if (length > longestHeader) {
    throw new SafetensorsError(
      'SAFETENSORS_HEADER',
      `${file} announces a header of ${length} bytes; no safetensors file has more than ${longestHeader}. It is damaged, or of another kind.`,
      { file, value: length },
    );
  }
  const dataStart = lengthBytes + Number(length);
  if (dataStart > size) {
    throw new SafetensorsError(
      'SAFETENSORS_TRUNCATED',
      `${file} is cut off or damaged: its header ends at byte ${dataStart}, the file at ${size}. Get the file again.`,
      { file, value: length },
    );
  }
  const entries = parse(await readExactly(source, lengthBytes, Number(length)), file);
  const metadata = metadataOf(entries['__metadata__'], file);
  const infos = Object.entries(entries)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => tensorInfo(name, entry, dataStart, file))
    .sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkPlacement(infos, dataStart, size, file);
  return { metadata, tensors: new Map(infos.map((info) => [info.name, info])) };
}

function parse(bytes: Uint8Array, file: string): Record<string, unknown> {
  const fail = (why: string, cause?: unknown): never => {
    throw new SafetensorsError(
      'SAFETENSORS_HEADER',
      `The header of ${file} ${why}. It is damaged, or of another kind.`,
      {
        file,
        cause,
      },
    );
  };
  let text = '';
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    fail('is not UTF-8', cause);
  }
  try {
    header = JSON.parse(text);
  } catch (cause) {
    fail(`is not JSON (${messageOf(cause)})`, cause);
  }
  if (!isObject(header)) return fail('is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    throw new SafetensorsError(
      'SAFETENSORS_CORRUPT',
      `${file} is damaged: ${JSON.stringify(twice)} stands twice in its header, so which tensor is meant is open. Get the file again.`,
      { file, tensor: twice, value: twice },
    );
  }
  return header;
}

function metadataOf(entry: unknown, file: string): ReadonlyMap<string, string> {
  if (entry === undefined) return new Map();
  const pairs = isObject(entry) ? Object.entries(entry) : undefined;
  if (pairs === undefined || pairs.some(([, value]) => typeof value !== 'string')) {
    throw new SafetensorsError('SAFETENSORS_HEADER', `The __metadata__ of ${file} are not texts by name.`, {
      file,
      value: entry,
    });
  }
  return new Map(pairs as [string, string][]);
}

function tensorInfo(name: string, entry: unknown, dataStart: number, file: string): SafetensorsTensorInfo {
  const fail = (why: string, value: unknown): never => {
    throw corrupt(file, name, why, value);
  };
  if (!isObject(entry)) return fail('its entry is not an object', entry);
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry;
  const dtype = dtypeNamed(dtypeName);
  if (dtype === undefined) return fail(`its type is ${show(dtypeName)}, which is not known`, dtypeName);
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return fail(`its shape ${show(shape)} is not a list of sizes`, shape);
  }
  const byteLength = shape.reduce((product: number, size: number) => product * size, dtype.size);
  if (!Number.isSafeInteger(byteLength)) return fail(`its shape ${show(shape)} fits into no file`, shape);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return fail(`its data_offsets ${show(offsets)} are not a start and an end`, offsets);
  }
  const [begin, end] = offsets as [number, number];
  if (end < begin) return fail(`its data end at ${end}, before they start at ${begin}`, offsets);
  if (end - begin !== byteLength) {
    return fail(`it has ${end - begin} bytes of data; ${dtype.name} ${show(shape)} takes ${byteLength}`, end - begin);
  }
  return {
    name,
    dtype: dtype.name,
    format: dtype.format,
    shape,
    offset: dataStart + begin,
    byteLength,
  };
}

/** Data must lie one behind the other and fill the file: no overlap, no gap, nothing behind. */
function checkPlacement(infos: readonly SafetensorsTensorInfo[], dataStart: number, size: number, file: string): void {
  let end = dataStart;
  for (const { name, offset, byteLength } of infos) {
    if (offset + byteLength > size) {
      throw new SafetensorsError(
        'SAFETENSORS_TRUNCATED',
        `${file} is cut off or damaged: tensor ${name} takes bytes ${offset} to ${offset + byteLength} but the file ends at ${size}. Get the file again.`,
        { file, tensor: name, value: offset + byteLength },
      );
    }
    if (offset < end) {
      throw corrupt(file, name, `its data overlap those of the tensor before, at byte ${offset}`, offset);
    }
    if (offset > end) throw corrupt(file, name, `there is a gap of ${offset - end} bytes before its data`, offset);
    end = offset + byteLength;
  }
  if (end !== size) {
    throw new SafetensorsError(
      'SAFETENSORS_CORRUPT',
      `${file} is damaged: ${size - end} bytes behind the last tensor belong to none. Get the file again.`,
      { file, value: size - end },
    );
  }
}

function corrupt(file: string, tensor: string, why: string, value: unknown): SafetensorsError {
  return new SafetensorsError(
    'SAFETENSORS_CORRUPT',
    `${file} is damaged at tensor ${tensor}: ${why}. Get the file again.`,
    { file, tensor, value },
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A value as a message shows it. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
