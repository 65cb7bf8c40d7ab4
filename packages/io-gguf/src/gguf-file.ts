import type { HostArray } from '@lowrank/core';
import type { ByteSource } from './byte-source.ts';
import { messageOf, readExactly } from './byte-source.ts';
import { GgufError } from './gguf-error.ts';
import { ggmlType } from './ggml-types.ts';
import type { GgmlType } from './ggml-types.ts';
import type { GgufMetadata } from './metadata.ts';
import type { GgufHeader } from './read-header.ts';
import { readHeader } from './read-header.ts';
import type { GgufTensorInfo } from './tensor-info.ts';

/**
 * Opens a GGUF of version 2 or 3: reads and checks its header by ranges, and none of its tensors.
 * Rejects with a {@link GgufError} and closes the source where the file is no GGUF, of an unsupported kind, cut off or damaged.
 */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  try {
    return new GgufFile(source, await readHeader(source));
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** An open GGUF. Close it (or `await using` it) when done. */
export class GgufFile {
  readonly version: 2 | 3;
  /** Bytes to whose multiples tensor data are aligned. */
  readonly alignment: number;
  readonly metadata: GgufMetadata;
  /** By name, in the file's order. */
  readonly tensors: ReadonlyMap<string, GgufTensorInfo>;
  readonly source: ByteSource;

  constructor(source: ByteSource, header: GgufHeader) {
    this.source = source;
    this.version = header.version;
    this.alignment = header.alignment;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
  }

  /**
   * A tensor as stored, blocks undecoded. From a source in memory it is a view of that memory where alignment allows.
   * Rejects with `GGUF_NO_TENSOR`, `GGUF_UNSUPPORTED_TYPE`, or as its source does.
   */
  async read(name: string): Promise<HostArray> {
    const { info } = this.#find(name);
    return this.#array(info, info.shape, info.offset, info.byteLength as number);
  }

  /**
   * Rows `start` to `start + count - 1` of a tensor seen as a matrix (its last axis is the row, the others are counted
   * together), as an array of shape [count, columns]. Rejects as `read`, and with `GGUF_ARGUMENT` for rows that are not there.
   */
  async readRows(name: string, start: number, count: number): Promise<HostArray> {
    const { info, type } = this.#find(name);
    const columns = info.shape.at(-1) ?? 1;
    const rows = info.shape.slice(0, -1).reduce((product, size) => product * size, 1);
    if (
      !Number.isSafeInteger(start) ||
      !Number.isSafeInteger(count) ||
      start < 0 ||
      count < 0 ||
      start + count > rows
    ) {
      throw new GgufError(
        'GGUF_ARGUMENT',
        `Rows ${start} to ${start + count} were asked of tensor ${name}, which has ${rows}.`,
        { value: { start, count } },
      );
    }
    const rowBytes = (columns / type.blockSize) * type.bytesPerBlock;
    return this.#array(info, [count, columns], info.offset + start * rowBytes, count * rowBytes);
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(name: string): { info: GgufTensorInfo; type: GgmlType } {
    const info = this.tensors.get(name);
    if (info === undefined) {
      throw new GgufError(
        'GGUF_NO_TENSOR',
        `${this.source.name} has no tensor ${name}. Its ${this.tensors.size} tensors are listed in \`tensors\`.`,
        { value: name },
      );
    }
    const type = ggmlType(info.typeId);
    if (type?.format === undefined) {
      throw new GgufError(
        'GGUF_UNSUPPORTED_TYPE',
        `Tensor ${name} of ${this.source.name} is stored as ${info.type}, which cannot be read. Use a model in another quantization, such as Q4_1, Q8_0 or F16.`,
        {
          value: info.type,
        },
      );
    }
    return { info, type };
  }

  async #array(info: GgufTensorInfo, shape: readonly number[], offset: number, length: number): Promise<HostArray> {
    const format = info.format as HostArray['format'];
    let bytes: Uint8Array;
    try {
      bytes = length === 0 ? new Uint8Array(0) : await readExactly(this.source, offset, length);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new GgufError(
        'GGUF_OUT_OF_MEMORY',
        `There is no memory for the ${length} bytes of tensor ${info.name}: ${messageOf(cause)}. Read it in rows.`,
        {
          value: length,
          cause,
        },
      );
    }
    if (format !== 'f32' && format !== 'i32') return { format, shape, data: bytes };
    // Typed arrays of numbers must lie at multiples of four.
    if (bytes.byteOffset % 4 !== 0) bytes = bytes.slice();
    const { buffer, byteOffset } = bytes;
    const data =
      format === 'f32'
        ? new Float32Array(buffer, byteOffset, length / 4)
        : new Int32Array(buffer, byteOffset, length / 4);
    return { format, shape, data };
  }
}
