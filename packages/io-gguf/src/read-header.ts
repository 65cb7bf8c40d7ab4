import type { ByteSource } from './byte-source.ts';
import { checkPlacement } from './check-placement.ts';
import { GgufError } from './gguf-error.ts';
import { ggmlType } from './ggml-types.ts';
import { HeaderReader } from './header-reader.ts';
import { GgufMetadata } from './metadata.ts';
import { readValue } from './read-value.ts';
import type { GgufTensorInfo } from './tensor-info.ts';

export interface GgufHeader {
  readonly version: 2 | 3;
  readonly alignment: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensorInfo>;
}

export const defaultAlignment = 32;

/** The least bytes of a key-value pair (lengths, type, one byte of value) and of a tensor's entry (no dimensions). */
const leastPair = 8 + 4 + 1;
const leastEntry = 8 + 4 + 4 + 8;
/** Keys are at most this long by the specification; tensor names get the same room. */
const longestName = 65535;
const mostDimensions = 4;

/** Reads and checks everything before a GGUF's tensor data. */
export async function readHeader(source: ByteSource): Promise<GgufHeader> {
  const reader = new HeaderReader(source);
  const version = await readVersion(reader);
  await reader.need(16, 'the header');
  const tensorCount = reader.size('the number of tensors');
  const pairCount = reader.size('the number of metadata pairs');
  if (tensorCount * leastEntry + pairCount * leastPair > reader.remaining) {
    throw reader.truncated(`a header of ${tensorCount} tensors and ${pairCount} metadata pairs`, {
      tensorCount,
      pairCount,
    });
  }
  const metadata = await readMetadata(reader, pairCount);
  const alignment = alignmentOf(metadata, source.name);
  const entries = await readEntries(reader, tensorCount);
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  const tensors = new Map<string, GgufTensorInfo>();
  for (const entry of entries) tensors.set(entry.name, { ...entry, offset: dataStart + entry.offset });
  checkPlacement([...tensors.values()], dataStart, alignment, source);
  return { version, alignment, metadata, tensors };
}

async function readVersion(reader: HeaderReader): Promise<2 | 3> {
  const { name, size } = reader.source;
  if (size === 0) throw new GgufError('GGUF_EMPTY', `${name} is empty. Get the file again.`);
  await reader.need(Math.min(8, size), 'the header');
  const start = reader.bytes(Math.min(8, size));
  const magic = String.fromCharCode(...start.subarray(0, 4));
  if (magic !== 'GGUF'.slice(0, size)) throw notGguf(name, magic);
  if (size < 8) throw reader.truncated('the header', size);
  const view = new DataView(start.buffer);
  const version = view.getUint32(4, true);
  if (version === 2 || version === 3) return version;
  const swapped = view.getUint32(4, false);
  if (swapped > 0 && swapped < 0x10000) {
    throw new GgufError(
      'GGUF_BIG_ENDIAN',
      `${name} is a GGUF in big-endian byte order, which is not supported. Convert it with gguf_convert_endian.py.`,
      {
        value: version,
      },
    );
  }
  throw new GgufError(
    'GGUF_VERSION',
    `${name} is a GGUF of version ${version}; versions 2 and 3 can be read. Convert the model with a current llama.cpp.`,
    {
      value: version,
    },
  );
}

function notGguf(name: string, magic: string): GgufError {
  const kinds: Record<string, string> = {
    FUGG: 'a GGUF with its bytes swapped',
    lmgg: 'in a format older than GGUF',
    tjgg: 'in a format older than GGUF',
    fmgg: 'in a format older than GGUF',
    algg: 'in a format older than GGUF',
    vers: 'perhaps a Git LFS pointer, not the file itself',
    '<!DO': 'a web page',
    '<htm': 'a web page',
    'PK\x03\x04': 'a ZIP archive or a PyTorch checkpoint',
  };
  const kind = kinds[magic];
  return new GgufError(
    'GGUF_NOT_GGUF',
    `${name} is not a GGUF file: it starts with ${JSON.stringify(magic)}, not "GGUF"${kind === undefined ? '' : ` (${kind})`}. Give the path of a .gguf file.`,
    { value: magic },
  );
}

async function readMetadata(reader: HeaderReader, count: number): Promise<GgufMetadata> {
  const metadata = new GgufMetadata();
  for (let i = 0; i < count; i++) {
    const key = await readName(reader, `the key of metadata pair ${i}`);
    if (metadata.has(key)) throw reader.corrupt(`metadata key ${key} stands there twice`, key);
    metadata.set(key, await readValue(reader, `metadata ${key}`));
  }
  return metadata;
}

async function readName(reader: HeaderReader, what: string): Promise<string> {
  await reader.needString(what);
  const start = reader.position;
  const name = reader.string(what);
  if (reader.position - start > 8 + longestName) {
    throw reader.corrupt(`${what} is longer than ${longestName} bytes`, name.slice(0, 80));
  }
  return name;
}

function alignmentOf(metadata: GgufMetadata, name: string): number {
  const entry = metadata.get('general.alignment');
  if (entry === undefined) return defaultAlignment;
  if (entry.type !== 'u32' || entry.value === 0 || (entry.value & (entry.value - 1)) !== 0) {
    throw new GgufError(
      'GGUF_CORRUPT',
      `${name} is damaged: general.alignment must be a power of two of type u32. Get the file again.`,
      { value: entry },
    );
  }
  return entry.value;
}

/** Tensor entries as they stand in the file: offsets count from the start of the data. */
async function readEntries(reader: HeaderReader, count: number): Promise<GgufTensorInfo[]> {
  const entries: GgufTensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = await readName(reader, `the name of tensor ${i}`);
    if (names.has(name)) throw reader.corrupt(`tensor ${name} stands there twice`, name);
    names.add(name);
    const what = `the entry of tensor ${name}`;
    await reader.need(4, what);
    const dimensions = reader.u32();
    if (dimensions > mostDimensions) {
      throw reader.corrupt(
        `tensor ${name} has ${dimensions} dimensions; ggml's have at most ${mostDimensions}`,
        dimensions,
      );
    }
    await reader.need(dimensions * 8 + 12, what);
    const shape: number[] = [];
    for (let d = 0; d < dimensions; d++) shape.unshift(reader.size(`a dimension of tensor ${name}`));
    const typeId = reader.u32();
    const offset = reader.size(`the offset of tensor ${name}`);
    const type = ggmlType(typeId);
    const elements = shape.reduce((product, size) => product * size, 1);
    // 8 bytes is the most that an element takes.
    if (!Number.isSafeInteger(elements * 8)) {
      throw reader.corrupt(`tensor ${name} has shape [${shape.join(', ')}], more than any file holds`, shape);
    }
    if (type !== undefined && (shape.at(-1) ?? 1) % type.blockSize !== 0) {
      throw reader.corrupt(
        `tensor ${name} of type ${type.name} has rows of ${shape.at(-1)}, which are not whole blocks of ${type.blockSize}`,
        shape,
      );
    }
    entries.push({
      name,
      type: type?.name ?? `type ${typeId}`,
      typeId,
      format: type?.format,
      shape,
      offset,
      byteLength: type === undefined ? undefined : (elements / type.blockSize) * type.bytesPerBlock,
    });
  }
  return entries;
}
