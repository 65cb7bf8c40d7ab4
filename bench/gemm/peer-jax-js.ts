/** Products by jax-js on its WebAssembly backend, in a process of its own: node peer-jax-js.ts <folder of the peers>. It has no quantized ones. */
import { importFrom } from '../peers/npm/install.ts';
import { servePeer } from './peer.ts';
import { values } from './product.ts';

interface JaxArray {
  /** The same array, once more: an operation takes its operands away. */
  readonly ref: JaxArray;
  reshape(shape: number[]): JaxArray;
  dispose(): void;
}

interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): unknown;
  jit(f: (a: JaxArray, b: JaxArray) => JaxArray): (a: JaxArray, b: JaxArray) => JaxArray;
  blockUntilReady(x: JaxArray): Promise<JaxArray>;
  readonly numpy: {
    array(data: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    transpose(a: JaxArray): JaxArray;
  };
}

const [folder] = process.argv.slice(2) as [string];
const jax = await importFrom<Jax>(folder, '@jax-js/jax');
await jax.init('wasm');
jax.defaultDevice('wasm');

await servePeer(({ m, n, k, format, transposeA = false, transposeB = false }) => {
  if (format !== undefined) return undefined;
  const a = jax.numpy.array(values(m * k)).reshape(transposeA ? [k, m] : [m, k]);
  const b = jax.numpy.array(values(n * k)).reshape(transposeB ? [n, k] : [k, n]);
  const multiply = jax.jit((x, y) =>
    jax.numpy.matmul(transposeA ? jax.numpy.transpose(x) : x, transposeB ? jax.numpy.transpose(y) : y),
  );
  return async (repeats) => {
    for (let i = 0; i < repeats; i++) (await jax.blockUntilReady(multiply(a.ref, b.ref))).dispose();
  };
});
