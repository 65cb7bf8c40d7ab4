/** Random texts of the kinds that tokenizers get wrong. */
import fc from 'fast-check';

const PIECES = [
  'the', ' quick', 'Brown', ' ', '  ', '    ', '\n', '\n\n', '\t', '\r\n', '\r', '1', '22', '333', '4444', '²', '½', '٣', 'Ⅷ', '𝟘',
  'é', 'e\u0301', 'ß', 'ſ', 'İ', '中', '日本', '한국', 'ي', 'ש', 'क्ष', 'ไทย', '𐍈', '🎉', '👩‍👩‍👧', '🇩🇪', "'s", "'LL", "'Re", "'ſ", "'", '’',
  "don't", '!', '?!', '...', '—', '$', '+', '^', '|', '~', '_', '\\', '{"a":1}', '();', '</s>', '<|im_end|>', '<|im_start|>', '<|endoftext|>',
  '\u200b', '\u00a0', '\u3000', '\u0085', '\u2028', '\u0000', '\u0004', '\u001c', '\ufeff', '\ud800', '\u{1b4e}', '\u{2ebf0}', '\u{10ffff}',
]; // prettier-ignore

/** Pieces of the above, and characters from all of Unicode, in any order. */
export const hardText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { arbitrary: fc.constantFrom(...PIECES), weight: 8 },
      { arbitrary: fc.string({ unit: 'binary', maxLength: 3 }), weight: 1 },
      { arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }), weight: 1 },
    ),
    { minLength: 1, maxLength: 14 },
  )
  .map((pieces) => pieces.join(''));
