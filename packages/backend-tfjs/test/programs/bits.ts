// Prints a hash of the results of long sums, products and a scatter. Argument: engine, folder of tfjs-node.
import { createHash } from 'node:crypto';
import type { Storage } from '@lowrank/core';
import { tfjs, type EngineName } from '@lowrank/backend-tfjs';

const [engine, path] = process.argv.slice(2) as [EngineName, string];
const backend = await tfjs({ engine, path });
const { kernels } = backend;

/** Numbers in [-2, 2), the same on every run: a 32-bit xorshift (Marsaglia 2003). */
function numbers(length: number): Float32Array {
  let state = 2654435761;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state | 0) / 2 ** 30;
  });
}

const x = backend.upload(numbers(2_000_000), 'f32');
const indices = backend.upload(
  Int32Array.from({ length: 20_000 }, (_, i) => (i * 7919) % 37),
  'i32',
);
const plain = { batch: 1, transposeA: false, transposeB: false, batchA: false, batchB: false };
/** The first `length` of them. */
const first = (length: number): Storage => kernels.slice(x, [2_000_000], [0], [length]);
const results: Storage[] = [
  kernels.reduce('sum', x, 1, 2_000_000, 1),
  kernels.reduce('sum', x, 4, 500_000, 1),
  kernels.reduce('sum', x, 1, 2000, 1000),
  kernels.matmul(first(200 * 500), first(500 * 300), { ...plain, m: 200, n: 300, k: 500 }),
  kernels.matmul(first(4 * 20_000), first(80 * 20_000), { ...plain, m: 4, n: 80, k: 20_000, transposeB: true }),
  kernels.matmul(first(64 * 20_000), first(64 * 20_000), { ...plain, m: 64, n: 64, k: 20_000, transposeA: true }),
  kernels.scatterAdd(x, indices, 20_000, 37, 100),
];
const hash = createHash('sha256');
for (const result of results) hash.update(new Uint8Array((await backend.read(result)).buffer as ArrayBuffer));
await backend.dispose();
process.stdout.write(hash.digest('hex'));
