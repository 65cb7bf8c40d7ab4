/**
 * Products by ONNX Runtime, in a process of its own: node peer-onnx.ts <folder of the peers> <package> <threads>
 * Frozen weights are constants of the model, which it packs once; quantized ones go to its MatMulNBits with activations in
 * 8 bits, its fastest.
 */
import { importFrom } from '../peers/npm/install.ts';
import { onnxModel, type OnnxTensor } from './onnx.ts';
import { servePeer } from './peer.ts';
import { isFrozen, values, type Product } from './product.ts';
import type { Prepared } from './protocol.ts';

/** What is used of onnxruntime-common. */
interface Runtime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => object;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{ run(feeds: object, fetches: object): Promise<object> }>;
  };
}

const [folder, name, threads] = process.argv.slice(2) as [string, string, string];
const module = await importFrom<Runtime & { default?: Runtime }>(folder, name);
const runtime = module.default ?? module;
runtime.env.wasm.numThreads = Number(threads);
const { InferenceSession, Tensor } = runtime;

await servePeer(async (product): Promise<Prepared | undefined> => {
  const node = nodeOf(product);
  if (node === undefined) return undefined;
  const { m, n } = product;
  const session = await InferenceSession.create(onnxModel({ ...node, output: { name: 'y', shape: [m, n] } }), {
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  const feeds = Object.fromEntries(
    node.inputs
      .filter(({ data }) => data === undefined)
      .map(({ name: input, shape }) => [input, new Tensor('float32', values(shape[0]! * shape[1]!), shape)]),
  );
  const y = new Tensor('float32', new Float32Array(m * n), [m, n]);
  return async (repeats) => {
    for (let i = 0; i < repeats; i++) await session.run(feeds, { y });
  };
});

function nodeOf(
  product: Product,
): { op: string; domain?: string; integers: Record<string, number>; inputs: OnnxTensor[] } | undefined {
  const { m, n, k, format } = product;
  const transA = product.transposeA === true;
  const transB = product.transposeB === true;
  const a: OnnxTensor = { name: 'a', type: 'f32', shape: transA ? [k, m] : [m, k] };
  if (format === undefined) {
    const shape = transB ? [n, k] : [k, n];
    const data = isFrozen(product) ? { data: new Uint8Array(values(n * k).buffer) } : {};
    const b: OnnxTensor = { name: 'b', type: 'f32', shape, ...data };
    return { op: 'Gemm', integers: { transA: Number(transA), transB: Number(transB) }, inputs: [a, b] };
  }
  // Only x W^T, and no codebook.
  if (!transB || format === 'nf4') return undefined;
  const bits = format === 'q8_0' ? 8 : 4;
  const blocks = k / 32;
  const codes = new Uint8Array(n * blocks * 4 * bits);
  for (let i = 0; i < codes.length; i++) codes[i] = i * 37;
  return {
    op: 'MatMulNBits',
    domain: 'com.microsoft',
    integers: { K: k, N: n, bits, block_size: 32, accuracy_level: 4 },
    inputs: [
      a,
      { name: 'b', type: 'u8', shape: [n, blocks, 4 * bits], data: codes },
      { name: 'scales', type: 'f32', shape: [n * blocks], data: new Uint8Array(values(n * blocks).buffer) },
    ],
  };
}
