import type { ByteSource } from './byte-source.ts';
import { readExactly } from './byte-source.ts';
import { GgufError } from './gguf-error.ts';

/** How much is read ahead at a time. */
const chunk = 1 << 19;
/** Longer strings and arrays are damage: the largest in use, whole tokenizers in one string, are under 32 MiB. */
const longest = 1 << 28;

/**
 * Reads a header front to back through a window that slides over the source, so that only what is being parsed is in memory.
 * `need` makes bytes available; the getters then take them without waiting.
 */
export class HeaderReader {
  readonly source: ByteSource;
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #view: DataView = new DataView(this.#window.buffer);
  #windowStart = 0;
  #cursor = 0;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** Byte of the file that is read next. */
  get position(): number {
    return this.#windowStart + this.#cursor;
  }

  /** Bytes between here and the end of the file. */
  get remaining(): number {
    return this.source.size - this.position;
  }

  /** Whether `length` bytes can be taken without waiting. */
  has(length: number): boolean {
    return this.#cursor + length <= this.#window.length;
  }

  /** Makes `length` bytes available. `what` they are goes into the error where the file ends before. */
  async need(length: number, what: string): Promise<void> {
    if (this.has(length)) return;
    if (length > this.remaining) throw this.truncated(what, length);
    if (length > longest) throw this.corrupt(`${what} takes ${length} bytes`, length);
    const rest = this.#window.subarray(this.#cursor);
    const start = this.position + rest.length;
    const more = await readExactly(
      this.source,
      start,
      Math.min(Math.max(chunk, length - rest.length), this.source.size - start),
    );
    const window = new Uint8Array(rest.length + more.length);
    window.set(rest);
    window.set(more, rest.length);
    this.#windowStart = this.position;
    this.#cursor = 0;
    this.#window = window;
    this.#view = new DataView(window.buffer);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** A 64-bit count, length or offset; `GGUF_CORRUPT` where no file could be that large. */
  size(what: string): number {
    const at = this.#advance(8);
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
    if (!Number.isSafeInteger(value)) throw this.corrupt(`${what} is ${this.#view.getBigUint64(at, true)}`, value);
    return value;
  }

  /** A copy of the next bytes, in memory of its own. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#advance(length);
    return this.#window.slice(at, at + length);
  }

  /** Whether the next string can be taken without waiting. */
  hasString(): boolean {
    if (!this.has(8)) return false;
    const length = this.#view.getUint32(this.#cursor, true) + this.#view.getUint32(this.#cursor + 4, true) * 2 ** 32;
    return this.has(8 + length);
  }

  /** Makes the next string available, its length included. */
  async needString(what: string): Promise<void> {
    await this.need(8, what);
    const length = this.size(`the length of ${what}`);
    this.#cursor -= 8;
    await this.need(8 + length, what);
  }

  /** A string that is available. */
  string(what: string): string {
    const length = this.size(`the length of ${what}`);
    const start = this.position;
    const at = this.#advance(length);
    try {
      return this.#text.decode(this.#window.subarray(at, at + length));
    } catch (cause) {
      throw new GgufError(
        'GGUF_CORRUPT',
        `${this.source.name} is damaged at byte ${start}: ${what} is not UTF-8. Get the file again.`,
        {
          value: this.#window.slice(at, at + Math.min(length, 64)),
          cause,
        },
      );
    }
  }

  truncated(what: string, value: unknown): GgufError {
    return new GgufError(
      'GGUF_TRUNCATED',
      `${this.source.name} is cut off or damaged: at byte ${this.position}, ${what} reaches beyond its end at byte ${this.source.size}. Get the file again.`,
      { value },
    );
  }

  corrupt(problem: string, value: unknown): GgufError {
    return new GgufError(
      'GGUF_CORRUPT',
      `${this.source.name} is damaged at byte ${this.position}: ${problem}. Get the file again.`,
      { value },
    );
  }

  #advance(length: number): number {
    const at = this.#cursor;
    this.#cursor += length;
    return at;
  }
}
