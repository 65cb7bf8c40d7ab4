/** The part of the `WebAssembly` global that is used: the project is checked without the DOM's types. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** A compiled module: opaque, passed on to workers. */
export type WasmModule = object;

interface WebAssemblyLike {
  compile(bytes: Uint8Array): Promise<WasmModule>;
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
}

export const webAssembly: WebAssemblyLike = (globalThis as unknown as { WebAssembly: WebAssemblyLike }).WebAssembly;
