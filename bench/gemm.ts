/**
 * Matrix products on the CPU backend, against the peak of multiply-adds that the same threads reach when they do nothing
 * else. Peak and products are measured in turns within one run, since a shared machine's speed changes from minute to minute.
 */
import { cpu, type CpuBackend, type CpuOptions } from '@lowrank/backend-cpu';
import { BackendError, blockFormats, type Backend, type InlineBlockFormat, type Storage } from '@lowrank/core';
import { median, print, type Figure } from './report.ts';

export interface GemmOptions {
  readonly threads: readonly number[];
  readonly engines: readonly string[];
  readonly filter: string;
  readonly json: boolean;
}

/** What `--engines` takes: engines, and instruction sets of the native one. */
export const engineNames = [
  'native',
  'x86_64_v3',
  'x86_64_v4',
  'neon',
  'wasm',
  'wasm-baseline',
  'wasm-unshared',
] as const;

export interface Product {
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: true;
  readonly transposeB?: true;
  /** b is in blocks of this format: x W^T where transposeB, else x W. */
  readonly format?: InlineBlockFormat;
}

/** The sizes of SmolLM2-135M: 576 wide, 192 for keys and values, 1536 in the feed-forward part, 49152 tokens. */
export const cases: readonly Product[] = [
  { name: 'matrix', m: 512, n: 576, k: 1536 },
  { name: 'layer forward', m: 1024, n: 576, k: 576, transposeB: true },
  { name: 'layer forward', m: 1024, n: 192, k: 576, transposeB: true },
  { name: 'layer forward', m: 1024, n: 1536, k: 576, transposeB: true },
  { name: 'layer forward', m: 1024, n: 576, k: 1536, transposeB: true },
  { name: 'layer backward', m: 1024, n: 576, k: 1536 },
  { name: 'layer q4_1 forward', m: 1024, n: 1536, k: 576, transposeB: true, format: 'q4_1' },
  { name: 'layer q4_1 backward', m: 1024, n: 576, k: 1536, format: 'q4_1' },
  { name: 'layer q8_0 forward', m: 1024, n: 576, k: 1536, transposeB: true, format: 'q8_0' },
  { name: 'head q8_0 forward', m: 128, n: 49152, k: 576, transposeB: true, format: 'q8_0' },
  { name: 'lora x A^T', m: 1024, n: 8, k: 576, transposeB: true },
  { name: 'lora h B^T', m: 1024, n: 1536, k: 8, transposeB: true },
  { name: 'lora dh^T x', m: 8, n: 576, k: 1024, transposeA: true },
  { name: 'lora dy^T h', m: 1536, n: 8, k: 1024, transposeA: true },
  { name: 'token f32', m: 1, n: 1536, k: 576, transposeB: true },
  { name: 'token q4_1', m: 1, n: 1536, k: 576, transposeB: true, format: 'q4_1' },
  { name: '40 tokens q4_1', m: 40, n: 1536, k: 576, transposeB: true, format: 'q4_1' },
];

const rounds = 9;
/**
 * How long one measurement lasts, about, in milliseconds: some products back to back, as in training, so that waking a
 * thread and waiting for the answer do not count as multiplying.
 */
const duration = 25;

export async function gemm(options: GemmOptions): Promise<void> {
  const chosen = cases.filter((product) => describe(product).includes(options.filter));
  for (const engine of options.engines) {
    for (const threads of options.threads) {
      const backend = await start(engine, threads);
      if (backend === undefined) continue;
      print(await measure(backend, chosen), options.json);
      await backend.dispose();
    }
  }
}

/** Undefined, and said on stderr, where the engine does not run here. */
async function start(name: string, threads: number): Promise<CpuBackend | undefined> {
  const instructionSet = ['x86_64_v3', 'x86_64_v4', 'neon'].includes(name);
  const options = instructionSet ? { engine: 'native', instructionSet: name } : { engine: name };
  try {
    return await cpu({ ...options, threads } as CpuOptions);
  } catch (error) {
    if (!(error instanceof BackendError) || error.code !== 'BACKEND_NOT_AVAILABLE') throw error;
    process.stderr.write(`bench: ${name} is left out: ${error.message}\n`);
    return undefined;
  }
}

async function measure(backend: CpuBackend, chosen: readonly Product[]): Promise<Figure[]> {
  const subject = `${backend.engine}, ${backend.threads} thread${backend.threads === 1 ? '' : 's'}`;
  const runs = [
    // As many chunks as a product has, so that a thread that is held up costs both alike.
    () => backend.multiplyAdds(16 * backend.threads, 10_000),
    ...chosen.map((product) => prepare(backend, product)),
  ];
  const repeats = runs.map(() => 1);
  for (const [i, run] of runs.entries()) {
    // Warms up, and tells how many calls make one measurement.
    await operationsPerSecond(backend, run, 1);
    const speed = await operationsPerSecond(backend, run, 1);
    repeats[i] = Math.max(1, Math.min(1000, Math.round((duration / 1000 / run()) * speed)));
  }
  const peaks: number[] = [];
  const speeds = chosen.map((): number[] => []);
  const ratios = chosen.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < chosen.length; i++) {
      // Each product stands beside a peak of its own moment.
      const peak = await operationsPerSecond(backend, runs[0]!, repeats[0]!);
      const speed = await operationsPerSecond(backend, runs[i + 1]!, repeats[i + 1]!);
      peaks.push(peak);
      speeds[i]!.push(speed);
      ratios[i]!.push(speed / peak);
    }
  }
  const figure = (name: string, value: number, ratio: number | null): Figure => ({
    name: 'gemm',
    case: name,
    subject,
    value: value / 1e9,
    unit: 'GFLOP/s',
    ratio,
  });
  return [
    figure('multiply-add peak', median(peaks), null),
    ...chosen.map((product, i) => figure(describe(product), median(speeds[i]!), median(ratios[i]!))),
  ];
}

export function describe({ name, m, n, k }: Product): string {
  return `${name} ${m}x${n}x${k}`;
}

/** A call that enqueues the product and returns its number of floating-point operations. */
export function prepare(backend: Backend, product: Product): () => number {
  const { m, n, k, format } = product;
  const a = backend.upload(values(m * k), 'f32');
  const transposeA = product.transposeA === true;
  const transposeB = product.transposeB === true;
  const [rows, columns] = transposeB ? [n, k] : [k, n];
  let multiply: () => Storage;
  if (format === undefined) {
    const b = backend.upload(values(n * k), 'f32');
    const spec = { batch: 1, m, n, k, transposeA, transposeB, batchA: true, batchB: true };
    multiply = () => backend.kernels.matmul(a, b, spec);
  } else {
    const { blockSize, bytesPerBlock } = blockFormats[format];
    // Any bytes without the exponent of infinity and NaN are blocks.
    const bytes = new Uint8Array((rows * columns * bytesPerBlock) / blockSize);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37) & 0x3b;
    const b = backend.uploadBlocks!(bytes, format, [rows, columns]);
    multiply = () => backend.kernels.matmulQuantized!(a, b, { format, m, rows, columns, transposed: !transposeB });
  }
  return () => {
    backend.free(multiply());
    return 2 * m * n * k;
  };
}

function values(length: number): Float32Array {
  const result = new Float32Array(length);
  for (let i = 0; i < length; i++) result[i] = ((i * 7919) % 2003) / 1001 - 1;
  return result;
}

/** Of a call repeated `repeats` times, enqueued back to back. */
async function operationsPerSecond(backend: CpuBackend, call: () => number, repeats: number): Promise<number> {
  const begin = performance.now();
  let operations = 0;
  for (let i = 0; i < repeats; i++) operations += call();
  await backend.sync();
  return (operations / (performance.now() - begin)) * 1000;
}
