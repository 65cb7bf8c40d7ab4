import type { HostArray } from '@lowrank/core';
import type { ByteSource } from './byte-source.ts';
import { messageOf, readExactly } from './byte-source.ts';
import type { SafetensorsHeader, SafetensorsTensorInfo } from './read-header.ts';
import { readHeader } from './read-header.ts';
import { SafetensorsError } from './safetensors-error.ts';

/**
 * Opens a safetensors file: reads and checks its header, and none of its tensors.
 * Rejects with a {@link SafetensorsError} and closes the source where the file is none, is cut off or damaged.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  try {
    return new SafetensorsFile(source, await readHeader(source));
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** What one file and a model in shards have in common. */
export interface SafetensorsReader extends AsyncDisposable {
  /** What to call it in messages. */
  readonly name: string;
  /** By name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensorInfo>;
  read(name: string): Promise<HostArray>;
  readBytes(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** An open safetensors file. Close it (or `await using` it) when done. */
export class SafetensorsFile implements SafetensorsReader {
  readonly source: ByteSource;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, SafetensorsTensorInfo>;

  constructor(source: ByteSource, header: SafetensorsHeader) {
    this.source = source;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
  }

  get name(): string {
    return this.source.name;
  }

  /**
   * A tensor as an array: F32, F16, BF16 and I32 as they are stored, F64 as a `Float64Array`.
   * Rejects with `SAFETENSORS_NO_TENSOR`, `SAFETENSORS_UNSUPPORTED_TYPE` for types of other kinds (`readBytes` gives
   * those), or as its source does.
   */
  async read(name: string): Promise<HostArray> {
    const { format, dtype, shape } = this.#find(name);
    if (format === undefined) {
      throw new SafetensorsError(
        'SAFETENSORS_UNSUPPORTED_TYPE',
        `Tensor ${name} of ${this.name} is ${dtype}, which is no type of weights here; F32, F16, BF16, F64 and I32 are.`,
        { file: this.name, tensor: name, value: dtype },
      );
    }
    const bytes = await this.readBytes(name);
    if (format !== 'f32' && format !== 'i32') return { format, shape, data: bytes };
    // Typed arrays lie at multiples of their element; data in the file need not.
    const size = dtype === 'F64' ? 8 : 4;
    const { buffer, byteOffset, byteLength } = (
      bytes.byteOffset % size === 0 ? bytes : bytes.slice()
    ) as Uint8Array<ArrayBuffer>;
    const count = byteLength / size;
    if (format === 'i32') return { format, shape, data: new Int32Array(buffer, byteOffset, count) };
    const Floats = dtype === 'F64' ? Float64Array : Float32Array;
    return { format, shape, data: new Floats(buffer, byteOffset, count) };
  }

  /** A tensor's bytes as stored, little-endian. From a source in memory a view of that memory. Rejects as `read`. */
  async readBytes(name: string): Promise<Uint8Array> {
    const { offset, byteLength } = this.#find(name);
    if (byteLength === 0) return new Uint8Array(0);
    try {
      return await readExactly(this.source, offset, byteLength);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new SafetensorsError(
        'SAFETENSORS_OUT_OF_MEMORY',
        `There is no memory for the ${byteLength} bytes of tensor ${name} of ${this.name}: ${messageOf(cause)}`,
        { file: this.name, tensor: name, value: byteLength, cause },
      );
    }
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(name: string): SafetensorsTensorInfo {
    const info = this.tensors.get(name);
    if (info !== undefined) return info;
    throw new SafetensorsError(
      'SAFETENSORS_NO_TENSOR',
      `${this.name} has no tensor ${name}. Its ${this.tensors.size} tensors are listed in \`tensors\`.`,
      { file: this.name, tensor: name, value: name },
    );
  }
}
