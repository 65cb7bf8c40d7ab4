/**
 * GPT-2's byte alphabet (Radford et al. 2019, "Language models are unsupervised multitask learners"): every byte has a
 * printable character, so that byte-pair vocabularies are plain strings. Printable Latin-1 stands for itself; the
 * remaining 68 bytes take U+0100 upwards in order.
 */
function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/** The character of each byte: [256]. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const characters: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) characters.push(String.fromCharCode(isPrintable(byte) ? byte : next++));
  return characters;
})();

const CHARACTER_BYTES: ReadonlyMap<string, number> = new Map(BYTE_CHARACTERS.map((c, byte) => [c, byte]));
const encoder = new TextEncoder();

/** UTF-8 bytes of `text`, one character of the alphabet each. */
export function toByteAlphabet(text: string): string {
  let result = '';
  for (const byte of encoder.encode(text)) result += BYTE_CHARACTERS[byte];
  return result;
}

/** The bytes that a string of the alphabet stands for; a character from outside of it stands for its own UTF-8 bytes. */
export function fromByteAlphabet(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = CHARACTER_BYTES.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
