import { deflateRawSync } from 'node:zlib';

/** Less than the 32 KiB that deflate looks back, so that a piece finds the same piece of the module before it, which may lie off a little. */
const PIECE_BYTES = 26 * 1024;

/**
 * Modules made of one source, in little more than the space of one: a piece of the first, the same piece of the second, and so on,
 * all deflated together. `src/engines/wasm-bytes.ts` deals them out again.
 *
 * @param {Uint8Array[]} modules
 * @returns {{ pieces: number, packed: Buffer }}
 */
export function packWasm(modules) {
  const pieces = Math.ceil(Math.max(...modules.map(({ length }) => length)) / PIECE_BYTES);
  const dealt = Array.from({ length: pieces }, (_, piece) =>
    modules.map((bytes) => {
      const at = (/** @type {number} */ i) => Math.floor((i * bytes.length) / pieces);
      return bytes.subarray(at(piece), at(piece + 1));
    }),
  );
  return { pieces, packed: deflateRawSync(Buffer.concat(dealt.flat()), { level: 9 }) };
}
