/** Of `kernels/bf16/product.h`: how much of A is packed at a time, by each thread alone or by all together. */
const depth = 640;
const rowsAlone = 64;
const rowsTogether = 1024;
/** Packed rows are a whole number of these. */
const rowsOfBlock = 32;
const bytesOfElement = 2;

/** Bytes of scratch that a product with operands in bf16 needs, however it is shared out. */
export function bf16PackingBytes(threads: number, m: number): number {
  const together = 2 * Math.ceil(Math.min(m, rowsTogether) / rowsOfBlock) * rowsOfBlock;
  return Math.max(threads * rowsAlone, together) * depth * bytesOfElement;
}
