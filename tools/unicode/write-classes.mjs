// Writes packages/models/src/tokenizer/unicode-classes.ts from the tables of the JavaScript engine that runs this.
// The tables are frozen at Unicode 15.1, llama.cpp's, so run it on a Node that has it: npx -p node@20.18.0 node tools/unicode/write-classes.mjs
import { writeFileSync } from 'node:fs';

const version = process.versions.unicode ?? 'none';
if (!version.startsWith('15.1')) {
  console.error(`This Node knows Unicode ${version}; the tables are Unicode 15.1's. Node 20.18.0 has them.`);
  process.exit(2);
}

/** @param {string} property @returns {string[]} the ranges of code points with it, as a class writes them */
function ranges(property) {
  const isIn = new RegExp(`^\\p{${property}}$`, 'u');
  /** @type {string[]} */
  const found = [];
  let start = -1;
  for (let point = 0; point <= 0x110000; point++) {
    const inside = point <= 0x10ffff && isIn.test(String.fromCodePoint(point));
    if (inside && start < 0) start = point;
    if (!inside && start >= 0) {
      found.push(start === point - 1 ? escape(start) : `${escape(start)}-${escape(point - 1)}`);
      start = -1;
    }
  }
  return found;
}

/** @param {number} point */
function escape(point) {
  if (point < 0x100) return `\\x${point.toString(16).padStart(2, '0')}`;
  if (point < 0x10000) return `\\u${point.toString(16).padStart(4, '0')}`;
  return `\\u{${point.toString(16)}}`;
}

/** @param {string} comment @param {string} name @param {string[]} parts */
function constant(comment, name, parts) {
  const lines = [''];
  for (const part of parts) {
    if (/** @type {string} */ (lines.at(-1)).length + part.length > 140) lines.push('');
    lines[lines.length - 1] += part;
  }
  return `/** ${comment} */\nexport const ${name}: string =\n${lines.map((line) => `  String.raw\`${line}\``).join(' +\n')};\n`;
}

const whitespace = [
  [0x09, 0x0d],
  [0x20],
  [0x85],
  [0xa0],
  [0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f],
  [0x205f],
  [0x3000],
];

writeFileSync(
  new URL('../../packages/models/src/tokenizer/unicode-classes.ts', import.meta.url),
  `// Written by tools/unicode/write-classes.mjs from Unicode ${version}. Do not edit.
//
// Contents of regular expression classes (flag u). Engines differ in their Unicode version and in what \\s holds; token
// ids must not, and must equal llama.cpp's, whose tables are Unicode 15.1's.

${constant('General category L.', 'LETTER', ranges('L'))}
${constant('General category N.', 'NUMBER', ranges('N'))}
${constant('General category P.', 'PUNCTUATION', ranges('P'))}
${constant(
  'Property White_Space.',
  'WHITESPACE',
  whitespace.map((range) => range.map(escape).join('-')),
)}`,
);
