/** A piece of text between special tokens, or the id of one. */
export type Fragment = string | number;

/**
 * Cuts the texts of special tokens out of a text. Longer tokens are cut out first, wherever they stand, and each from
 * left to right: llama.cpp's rule, so that overlapping tokens give its ids.
 */
export function splitSpecialTokens(text: string, tokens: readonly (readonly [string, number])[]): Fragment[] {
  let fragments: Fragment[] = [text];
  for (const [token, id] of tokens) {
    if (!text.includes(token)) continue;
    fragments = fragments.flatMap((fragment) =>
      typeof fragment === 'number'
        ? [fragment]
        : fragment.split(token).flatMap((piece, i) => (i === 0 ? [piece] : [id, piece])),
    );
  }
  return fragments.filter((fragment) => fragment !== '');
}

/** The order in which tokens are cut out: by length in UTF-8 bytes, longest first, then by id. */
export function bySearchOrder(a: readonly [string, number], b: readonly [string, number]): number {
  return utf8Length(b[0]) - utf8Length(a[0]) || a[1] - b[1];
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
