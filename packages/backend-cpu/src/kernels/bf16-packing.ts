/** Of `kernels/bf16/product.h`: how much of A and B is packed at a time, by each thread alone or by all together. */
const depth = 1536;
const rowsTogether = 128;
const block = 1 << 20;
const rowsAlone = 128;
const columnsAlone = 128;
const bytesOfElement = 2;

/** Bytes of scratch that a product with operands in bf16 needs, whatever its size and however it is shared out. */
export function bf16PackingBytes(threads: number): number {
  const alone = threads * (rowsAlone + columnsAlone) * depth;
  const together = 2 * block + threads * rowsTogether * depth;
  return Math.max(alone, together) * bytesOfElement;
}
