import type { ArrayFormat, HostArray } from '@lowrank/core';
import { ByteWriter, paddingTo } from './byte-writer.ts';
import { GgufError } from './gguf-error.ts';
import { ggmlTypeOf } from './ggml-types.ts';
import { defaultAlignment } from './read-header.ts';
import type { GgufValue } from './value.ts';
import { wellFormed, writeValue } from './write-value.ts';

/** A tensor to be written: there already, or made when its turn comes, so that a whole model is never in memory. */
export type GgufTensorInput =
  | { readonly name: string; readonly array: HostArray }
  | {
      readonly name: string;
      readonly format: ArrayFormat;
      /** Row-major, outermost axis first. */
      readonly shape: readonly number[];
      /** Called once, in order; what it gives must be of this format and shape. */
      readonly load: () => HostArray | Promise<HostArray>;
    };

/** Metadata to be written: a map (such as the one that `openGguf` reads) or an object. */
export type GgufPairs = ReadonlyMap<string, GgufValue> | Readonly<Record<string, GgufValue>>;

/** What a GGUF is made of. */
export interface GgufContents {
  /**
   * In the order they are to stand; what `openGguf` read can be handed over as it is.
   * `general.alignment` (u32, a power of two, 8 to 65536) sets the alignment; without it, it is 32.
   */
  readonly metadata: GgufPairs;
  readonly tensors: Iterable<GgufTensorInput>;
}

export interface PlacedTensor {
  readonly name: string;
  readonly format: ArrayFormat;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Zeros after the data. */
  readonly padding: number;
  readonly load: () => HostArray | Promise<HostArray>;
}

export interface FileLayout {
  /** Everything before the tensor data, padded. */
  readonly header: Uint8Array;
  readonly tensors: readonly PlacedTensor[];
  /** Bytes of the whole file. */
  readonly size: number;
}

/** llama.cpp keeps names in 64 bytes, the last of them zero. */
const longestTensorName = 63;
const longestKey = 65535;
const mostDimensions = 4;

/** Checks what is to be written and places it. Throws `GGUF_INVALID`, `GGUF_UNSUPPORTED_TYPE`. */
export function layOut(contents: GgufContents): FileLayout {
  const metadata = pairsOf(contents.metadata);
  const alignment = alignmentOf(metadata);
  const tensors = Array.from(contents.tensors, (tensor) => place(tensor, alignment));
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (names.has(name)) {
      throw new GgufError('GGUF_INVALID', `Two tensors are called ${name}. Give each its own name.`, { value: name });
    }
    names.add(name);
  }
  const writer = new ByteWriter();
  writer.bytes(new TextEncoder().encode('GGUF'));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(metadata.length);
  for (const [key, entry] of metadata) {
    checkName(key, longestKey, 'The metadata key');
    writer.string(key);
    writeValue(writer, key, entry);
  }
  let offset = 0;
  for (const { name, format, shape, byteLength, padding } of tensors) {
    writer.string(name);
    writer.u32(shape.length);
    for (const size of shape.toReversed()) writer.u64(size);
    writer.u32(ggmlTypeOf(format)?.id as number);
    writer.u64(offset);
    offset += byteLength + padding;
  }
  writer.align(alignment);
  return { header: writer.done(), tensors, size: writer.length + offset };
}

/** The file's pieces, front to back. Loads each tensor when its turn comes and lets go of it after. */
export async function* pieces(layout: FileLayout): AsyncGenerator<Uint8Array> {
  yield layout.header;
  for (const tensor of layout.tensors) {
    yield bytesOf(tensor, await tensor.load());
    if (tensor.padding > 0) yield new Uint8Array(tensor.padding);
  }
}

/** The key-value pairs in order. */
export function pairsOf(metadata: GgufPairs): (readonly [string, GgufValue])[] {
  return metadata instanceof Map
    ? [...(metadata as ReadonlyMap<string, GgufValue>)]
    : Object.entries(metadata as Readonly<Record<string, GgufValue>>);
}

function alignmentOf(metadata: readonly (readonly [string, GgufValue])[]): number {
  const entry = metadata.find(([key]) => key === 'general.alignment')?.[1];
  if (entry === undefined) return defaultAlignment;
  if (entry.type !== 'u32' || entry.value < 8 || entry.value > 65536 || (entry.value & (entry.value - 1)) !== 0) {
    throw new GgufError(
      'GGUF_INVALID',
      'general.alignment must be a power of two from 8 to 65536, of type u32. Leave it out for 32.',
      { value: entry },
    );
  }
  return entry.value;
}

function place(tensor: GgufTensorInput, alignment: number): PlacedTensor {
  const { name } = tensor;
  checkName(name, longestTensorName, 'The tensor name');
  const { format, shape } = 'array' in tensor ? tensor.array : tensor;
  const type = ggmlTypeOf(format);
  if (type === undefined) {
    throw new GgufError(
      'GGUF_UNSUPPORTED_TYPE',
      `Tensor ${name} is ${format}, which GGUF has no type for. Decode it and store it as f32, f16, bf16, q8_0, q4_0 or q4_1.`,
      {
        value: format,
      },
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  if (
    shape.length > mostDimensions ||
    shape.some((size) => !Number.isSafeInteger(size) || size < 0) ||
    !Number.isSafeInteger(elements * 8)
  ) {
    throw new GgufError(
      'GGUF_INVALID',
      `Tensor ${name} has shape [${shape.join(', ')}]; GGUF takes up to four sizes that fit into a file.`,
      { value: shape },
    );
  }
  if ((shape.at(-1) ?? 1) % type.blockSize !== 0) {
    throw new GgufError(
      'GGUF_INVALID',
      `Tensor ${name} has rows of ${shape.at(-1)}, which are not whole ${format} blocks of ${type.blockSize}. Store it as f16 or f32.`,
      {
        value: shape,
      },
    );
  }
  const byteLength = (elements / type.blockSize) * type.bytesPerBlock;
  const load = 'array' in tensor ? () => tensor.array : tensor.load;
  const placed = { name, format, shape, byteLength, padding: paddingTo(byteLength, alignment), load };
  // What is there already is checked now, before a byte is written.
  if ('array' in tensor) bytesOf(placed, tensor.array);
  return placed;
}

function checkName(name: string, longest: number, what: string): void {
  wellFormed(name, what);
  const length = new TextEncoder().encode(name).length;
  if (length === 0 || length > longest) {
    throw new GgufError(
      'GGUF_INVALID',
      `${what} ${JSON.stringify(name.slice(0, 80))} takes ${length} bytes of UTF-8; it must take 1 to ${longest}.`,
      { value: name },
    );
  }
}

/** An array's bytes as the file holds them: a view, but for float64 data, which are rounded. */
function bytesOf(tensor: PlacedTensor, array: HostArray): Uint8Array {
  const { name, format, shape } = tensor;
  if (
    array.format !== format ||
    array.shape.length !== shape.length ||
    array.shape.some((size, axis) => size !== shape[axis])
  ) {
    throw new GgufError(
      'GGUF_INVALID',
      `Tensor ${name} was announced as ${format} [${shape.join(', ')}] but loaded as ${array.format} [${array.shape.join(', ')}]. Make the two agree.`,
      { value: array.format },
    );
  }
  const data = array.data instanceof Float64Array ? toFloat32(array.data, name) : array.data;
  const kind = format === 'f32' ? Float32Array : format === 'i32' ? Int32Array : Uint8Array;
  if (!(data instanceof kind) || data.byteLength !== tensor.byteLength) {
    const found = `${data?.constructor?.name ?? typeof data} of ${data?.byteLength} bytes`;
    throw new GgufError(
      'GGUF_INVALID',
      `Tensor ${name} of format ${format} and shape [${shape.join(', ')}] needs a ${kind.name} of ${tensor.byteLength} bytes but has a ${found}.`,
      {
        value: data?.byteLength,
      },
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function toFloat32(data: Float64Array, name: string): Float32Array {
  const rounded = Float32Array.from(data);
  const lost = rounded.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(data[i]));
  if (lost >= 0) {
    throw new GgufError('GGUF_INVALID', `Element ${lost} of tensor ${name} is ${data[lost]}, beyond float32.`, {
      value: data[lost],
    });
  }
  return rounded;
}
