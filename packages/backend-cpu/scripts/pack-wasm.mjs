import { deflateRawSync } from 'node:zlib';

/**
 * Bytes as a string of which a JavaScript string literal has nothing to escape: deflated, then four bytes as five digits of base 85.
 * Digits are the characters from ( to ~ but \ and `; the last group is filled with zeros. `src/engines/wasm-bytes.ts` undoes it.
 *
 * @param {Uint8Array} bytes
 * @returns {{ deflatedBytes: number, packed: string }}
 */
export function pack(bytes) {
  const deflated = deflateRawSync(bytes, { level: 9 });
  const whole = Buffer.concat([deflated, Buffer.alloc(-deflated.length & 3)]);
  let text = '';
  for (let at = 0; at < whole.length; at += 4) {
    let value = whole.readUInt32BE(at);
    const digits = [0, 0, 0, 0, 0].map(() => {
      const digit = value % 85;
      value = (value - digit) / 85;
      return digit;
    });
    text += digits.reverse().map(character).join('');
  }
  return { deflatedBytes: deflated.length, packed: text };
}

/** @param {number} digit */
const character = (digit) => String.fromCharCode(digit + 40 + Number(digit > 51) + Number(digit > 54));
