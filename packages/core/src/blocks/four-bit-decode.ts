import { dynamicMap } from './dynamic-map.ts';
import { fourBitCodes, type FourBitFormat } from './four-bit-codes.ts';
import { fourBitHeaderBytes, nestedBlockSize, type FourBitPayload } from './four-bit-payload.ts';

const { fround } = Math;

/**
 * Decodes elements `start` to `start + count - 1` of a payload to `out`: the value of the code times the block's scale, rounded
 * once. Checks no bounds.
 */
export function decodeFourBit(
  format: FourBitFormat,
  bytes: Uint8Array,
  payload: FourBitPayload,
  start: number,
  count: number,
  out: Float32Array,
): void {
  const { blockSize } = payload;
  const { values } = fourBitCodes[format];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scaled = new Float32Array(16);
  const end = start + count;
  for (let i = start; i < end;) {
    const block = Math.floor(i / blockSize);
    const scale = scaleOf(view, payload, block);
    for (let code = 0; code < 16; code++) scaled[code] = values[code]! * scale;
    const stop = Math.min(end, (block + 1) * blockSize);
    for (; i < stop; i++) {
      const pair = bytes[fourBitHeaderBytes + (i >>> 1)]!;
      out[i - start] = scaled[(i & 1) === 0 ? pair >> 4 : pair & 15]!;
    }
  }
}

/** f32(f32(map[code] * nested) + offset), or the f32 that is stored. */
function scaleOf(view: DataView, payload: FourBitPayload, block: number): number {
  const { scalesAt, nestedAt, doubleQuantization, offset } = payload;
  if (!doubleQuantization) return view.getFloat32(scalesAt + 4 * block, true);
  const nested = view.getFloat32(nestedAt + 4 * Math.floor(block / nestedBlockSize), true);
  return fround(fround(dynamicMap()[view.getUint8(scalesAt + block)]! * nested) + offset);
}
