import { deflatedBytes, packed } from '../generated/wasm.ts';
import { rewrite } from './wasm-rewrite.ts';

export type WasmVariant = 'relaxed' | 'baseline' | 'unshared';

/** The inlined module, out of what `scripts/pack-wasm.mjs` makes of it. */
export async function wasmBytes(variant: WasmVariant): Promise<Uint8Array<ArrayBuffer>> {
  const module = await inflate(fromBase85(packed).subarray(0, deflatedBytes));
  return variant === 'relaxed' ? module : rewrite(module, { unfused: true, unshared: variant === 'unshared' });
}

/** Five digits are four bytes; digits are the characters from ( to ~ but \ and `. */
function fromBase85(text: string): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer((text.length / 5) * 4));
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    value = value * 85 + code - 40 - Number(code > 92) - Number(code > 96);
    if (i % 5 === 4) {
      view.setUint32(((i - 4) / 5) * 4, value);
      value = 0;
    }
  }
  return new Uint8Array(view.buffer);
}

async function inflate(deflated: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
