/** Of `kernels/bf16/product.h`: how much of A and B is packed at a time, by each thread alone or by all together. */
const depth = 1536;
const rowsTogether = 128;
const block = 1 << 20;
const few = 64;
const widthAlone = 128;
const bytesOfElement = 2;

/** Bytes of scratch that a product with operands in bf16 needs, however it is shared out. */
export function bf16PackingBytes(threads: number, batch: number, m: number, n: number): number {
  const elements =
    batch > 1 || n <= few || m <= few
      ? threads * (few + widthAlone) * depth
      : threads * rowsTogether * depth + 2 * block;
  return elements * bytesOfElement;
}
