/** Little-endian bytes that grow as they are written. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #text = new TextEncoder();

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number | bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A string: its length in bytes, then its UTF-8. */
  string(value: string): void {
    const bytes = this.#text.encode(value);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  /** Zeros up to the next multiple. */
  align(multiple: number): void {
    this.#grow(paddingTo(this.#length, multiple));
  }

  /** Everything written so far: a view. */
  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(extra: number): number {
    const at = this.#length;
    this.#length += extra;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Bytes between a position and the next multiple. */
export function paddingTo(position: number, multiple: number): number {
  return (multiple - (position % multiple)) % multiple;
}
