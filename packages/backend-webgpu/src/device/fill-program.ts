import type { Program } from './program.ts';

/** Writes `word` into all of `length` elements: bits, so that infinities and NaN, which WGSL need not carry, come through. */
export const fillProgram: Program = {
  name: 'fill',
  operands: { y: 'write u32' },
  parameters: { word: 'u32', length: 'u32' },
  workgroup: 256,
  body: /* wgsl */ `
  let i = group * 256u + local;
  if (i < p.length) { store_y(i, p.word); }`,
};
