import type { HostArray } from '@lowrank/core';
import { dtypeNamed, dtypeOf, type Dtype, type SafetensorsDtype } from './dtypes.ts';
import { SafetensorsError } from './safetensors-error.ts';
import { longestHeader } from './read-header.ts';

/** Bytes of a type that core has no array format for. */
export interface RawTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Little-endian, row-major. */
  readonly bytes: Uint8Array;
}

/** A tensor to be written: there already, or made when its turn comes, so that a whole model is never in memory. */
export type SafetensorsTensorInput = { readonly name: string } & (
  | { readonly array: HostArray | RawTensor }
  | {
      readonly dtype: SafetensorsDtype;
      readonly shape: readonly number[];
      /** Called once; what it gives must be of this type and shape. */
      readonly load: () => HostArray | RawTensor | Promise<HostArray | RawTensor>;
    }
);

export interface SafetensorsContents {
  /** `__metadata__`; transformers and PEFT want `{ format: 'pt' }`, which is the default. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** In any order: data are placed by size of element and by name, as the format's own library does. */
  readonly tensors: Iterable<SafetensorsTensorInput>;
}

export interface PlacedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly load: () => HostArray | RawTensor | Promise<HostArray | RawTensor>;
}

export interface FileLayout {
  /** Length, header and padding. */
  readonly header: Uint8Array;
  readonly tensors: readonly PlacedTensor[];
  /** Bytes of the whole file. */
  readonly size: number;
}

const encoder = new TextEncoder();

/** Checks what is to be written and orders it. Throws `SAFETENSORS_INVALID`, `SAFETENSORS_UNSUPPORTED_TYPE`. */
export function placeAll(inputs: Iterable<SafetensorsTensorInput>): PlacedTensor[] {
  const tensors = Array.from(inputs, place).sort(
    (a, b) => b.dtype.size - a.dtype.size || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (names.has(name)) throw invalid(name, 'there are two tensors of this name', name);
    names.add(name);
  }
  return tensors;
}

/** The header of placed tensors. */
export function layOut(tensors: readonly PlacedTensor[], metadata: Readonly<Record<string, string>>): FileLayout {
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    entries.push([name, { dtype: dtype.name, shape, data_offsets: [offset, offset + byteLength] }]);
    offset += byteLength;
  }
  // Written piece by piece: an object would move names that are numbers to the front, and lose `__proto__`.
  const json = encoder.encode(
    `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`,
  );
  const length = Math.ceil(json.length / 8) * 8;
  if (length > longestHeader) {
    throw new SafetensorsError(
      'SAFETENSORS_INVALID',
      `A header of ${length} bytes is longer than the ${longestHeader} that readers take; split the tensors into shards.`,
      { value: length },
    );
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return { header, tensors, size: header.length + offset };
}

/** The file's pieces, front to back. Loads each tensor when its turn comes and lets go of it after. */
export async function* pieces(layout: FileLayout): AsyncGenerator<Uint8Array> {
  yield layout.header;
  for (const tensor of layout.tensors) yield bytesOf(tensor, await tensor.load());
}

function place(input: SafetensorsTensorInput): PlacedTensor {
  const { name } = input;
  if (name === '' || name === '__metadata__' || /\p{Surrogate}/u.test(name)) {
    throw invalid(name, 'a name is well-formed text that is neither empty nor __metadata__', name);
  }
  const { dtype: announced, shape } =
    'array' in input ? { dtype: dtypeNameOf(name, input.array), shape: input.array.shape } : input;
  const dtype = dtypeNamed(announced);
  if (dtype === undefined) throw invalid(name, `there is no type ${announced}`, announced);
  const byteLength = shape.reduce((product, size) => product * size, dtype.size);
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0) || !Number.isSafeInteger(byteLength)) {
    throw invalid(name, `the shape [${shape.join(', ')}] is not a list of sizes that fit into a file`, shape);
  }
  const load = 'array' in input ? () => input.array : input.load;
  const placed = { name, dtype, shape: [...shape], byteLength, load };
  // What is there already is checked now, before a byte is written.
  if ('array' in input) bytesOf(placed, input.array);
  return placed;
}

function dtypeNameOf(name: string, array: HostArray | RawTensor): SafetensorsDtype {
  if ('dtype' in array) return array.dtype;
  const dtype = array.data instanceof Float64Array ? dtypeNamed('F64') : dtypeOf(array.format);
  if (dtype !== undefined) return dtype.name;
  throw new SafetensorsError(
    'SAFETENSORS_UNSUPPORTED_TYPE',
    `Tensor ${name} is ${array.format}, which safetensors has no type for. Decode it and store it as f32, f16 or bf16.`,
    { tensor: name, value: array.format },
  );
}

/** An array's bytes as the file holds them: a view. */
function bytesOf({ name, dtype, shape, byteLength }: PlacedTensor, array: HostArray | RawTensor): Uint8Array {
  const found = dtypeNameOf(name, array);
  if (found !== dtype.name || array.shape.join() !== shape.join()) {
    throw invalid(
      name,
      `it was announced as ${dtype.name} [${shape.join(', ')}] but loaded as ${found} [${array.shape.join(', ')}]`,
      array.shape,
    );
  }
  const data = 'bytes' in array ? array.bytes : array.data;
  if (!ArrayBuffer.isView(data) || data.byteLength !== byteLength) {
    throw invalid(
      name,
      `${dtype.name} [${shape.join(', ')}] takes ${byteLength} bytes; there are ${(data as Uint8Array | undefined)?.byteLength ?? 'none'}`,
      (data as Uint8Array | undefined)?.byteLength,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function invalid(tensor: string, why: string, value: unknown): SafetensorsError {
  return new SafetensorsError('SAFETENSORS_INVALID', `Tensor ${JSON.stringify(tensor)} cannot be written: ${why}.`, {
    tensor,
    value,
  });
}
