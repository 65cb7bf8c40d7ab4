import { lengths, packed, pieces } from '../generated/wasm.ts';

export type WasmVariant = 'relaxed' | 'baseline' | 'unshared';

/** The inlined module, out of the pack that `scripts/pack-wasm.mjs` makes: pieces of all modules in turn, deflated. */
export async function wasmBytes(variant: WasmVariant): Promise<Uint8Array<ArrayBuffer>> {
  const all = await inflate(Uint8Array.from(atob(packed), (character) => character.charCodeAt(0)));
  const bytes = new Uint8Array(lengths[variant]);
  let from = 0;
  for (let piece = 0; piece < pieces; piece++) {
    for (const [name, length] of Object.entries(lengths)) {
      const begin = Math.floor((piece * length) / pieces);
      const size = Math.floor(((piece + 1) * length) / pieces) - begin;
      if (name === variant) bytes.set(all.subarray(from, from + size), begin);
      from += size;
    }
  }
  return bytes;
}

async function inflate(deflated: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
