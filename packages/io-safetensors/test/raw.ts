/** Safetensors files put together by hand, right and wrong, without the package's own writer. */
export function raw(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/** An entry of the header. */
export function entry(dtype: unknown, shape: unknown, offsets: unknown): unknown {
  return { dtype, shape, data_offsets: offsets };
}
