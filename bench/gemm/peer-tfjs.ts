/**
 * Products by TensorFlow.js, in a process of its own: node peer-tfjs.ts <folder of the peers> wasm, or
 * node peer-tfjs.ts <folder of tfjs-node> node. It has no quantized products.
 */
import util from 'node:util';
import { importFrom } from '../peers/npm/install.ts';
import { servePeer } from './peer.ts';
import { values } from './product.ts';

interface TfTensor {
  dispose(): void;
  dataSync(): Float32Array;
}

interface Tf {
  setBackend(name: string): Promise<boolean>;
  tensor2d(data: Float32Array, shape: [number, number]): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA: boolean, transposeB: boolean): TfTensor;
}

const [folder, engine] = process.argv.slice(2) as [string, 'wasm' | 'node'];
// Node 23 removed what tfjs-node calls.
Object.assign(util, {
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  isArray: Array.isArray,
});
if (engine === 'wasm') await importFrom(folder, '@tensorflow/tfjs-backend-wasm');
const module = await importFrom<Tf & { default?: Tf }>(
  folder,
  engine === 'wasm' ? '@tensorflow/tfjs-core' : '@tensorflow/tfjs-node',
);
const tf = module.default ?? module;
await tf.setBackend(engine === 'wasm' ? 'wasm' : 'tensorflow');

await servePeer(({ m, n, k, format, transposeA = false, transposeB = false }) => {
  if (format !== undefined) return undefined;
  const a = tf.tensor2d(values(m * k), transposeA ? [k, m] : [m, k]);
  const b = tf.tensor2d(values(n * k), transposeB ? [n, k] : [k, n]);
  return (repeats) => {
    for (let i = 0; i < repeats; i++) tf.matMul(a, b, transposeA, transposeB).dispose();
  };
});
