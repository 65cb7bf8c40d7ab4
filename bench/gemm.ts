/**
 * Matrix products on the CPU backend, against the peak of multiply-adds that the same threads reach when they do nothing
 * else, and against other engines. All take turns within one run, since a shared machine's speed changes from minute to minute.
 */
import { cpu, type CpuBackend, type CpuOptions } from '@lowrank/backend-cpu';
import { BackendError, blockFormats, quantize4bit, type Backend, type Storage } from '@lowrank/core';
import { startPeers, type Kind, type Peer } from './gemm/peers.ts';
import { cases, describe, operations, values, type Product } from './gemm/product.ts';
import type { ProductAnswer } from './gemm/protocol.ts';
import { median, print, summary, threadsText, type Figure } from './report.ts';

export { cases, describe } from './gemm/product.ts';

export interface GemmOptions {
  readonly threads: readonly number[];
  readonly engines: readonly string[];
  readonly peers: readonly string[];
  readonly rounds: number;
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

/**
 * How long one measurement lasts, about, in milliseconds: some products back to back, as in training, so that waking a
 * thread and waiting for the answer do not count as multiplying.
 */
const duration = 25;

/** What all rounds of one product on one engine may take, in milliseconds; slow ones get fewer, but three. */
const patience = 1500;
const leastRounds = 3;

export async function gemm(options: GemmOptions): Promise<void> {
  const chosen = cases.filter((product) => describe(product).includes(options.filter));
  for (const threads of options.threads) {
    await using running = new AsyncDisposableStack();
    const contenders: Contender[] = [];
    for (const engine of options.engines) {
      const backend = await start(engine, threads);
      if (backend === undefined) continue;
      running.defer(() => backend.dispose());
      contenders.push(ours(backend, engine));
    }
    for (const peer of await startPeers(options.peers, threads)) {
      running.use(peer.subject);
      contenders.push(theirs(peer, threads));
    }
    for (const product of chosen) await measure(product, contenders, options.rounds);
    for (const contender of contenders) print(figures(contender, chosen, contenders), options.json);
  }
}

/** An engine, ours or a peer's, and what was measured of it. */
interface Contender {
  readonly subject: string;
  readonly name: string;
  readonly kind: Kind;
  readonly own: boolean;
  /** Operations a second of a product repeated back to back; undefined where it has no such product. */
  speed(product: Product, repeats: number): Promise<number | undefined>;
  /** Of multiply-adds alone, which peers do not tell. */
  peak?(): Promise<number>;
  readonly peaks: number[];
  /** By product; NaN in the rounds of one that it does not have. */
  readonly speeds: Map<Product, number[]>;
  /** By product: of the peak of the same moment. */
  readonly ratios: Map<Product, number[]>;
}

function ours(backend: CpuBackend, engine: string): Contender {
  const prepared = new Map<Product, () => number>();
  // As many chunks as a product has, so that a thread that is held up costs both alike.
  const multiplyAdds = (): number => backend.multiplyAdds(16 * backend.threads, 10_000);
  let peakRepeats: number | undefined;
  return {
    subject: `${backend.engine}, ${threadsText(backend.threads)}`,
    name: backend.engine,
    kind: engine.startsWith('wasm') ? 'wasm' : 'native',
    own: true,
    async speed(product, repeats) {
      if (!prepared.has(product)) prepared.set(product, prepare(backend, product));
      return operationsPerSecond(backend, prepared.get(product)!, repeats);
    },
    async peak() {
      if (peakRepeats === undefined) {
        await operationsPerSecond(backend, multiplyAdds, 1);
        peakRepeats = repeatsFor(await operationsPerSecond(backend, multiplyAdds, 1), multiplyAdds());
      }
      return operationsPerSecond(backend, multiplyAdds, peakRepeats);
    },
    peaks: [],
    speeds: new Map(),
    ratios: new Map(),
  };
}

function theirs({ subject, kind }: Peer, threads: number): Contender {
  return {
    subject: `${subject.name}, ${threadsText(threads)}`,
    name: subject.name,
    kind,
    own: false,
    async speed(product, repeats) {
      const { seconds } = (await subject.ask({ product, repeats })) as ProductAnswer;
      return seconds === null ? undefined : (operations(product) * repeats) / seconds;
    },
    peaks: [],
    speeds: new Map(),
    ratios: new Map(),
  };
}

async function measure(product: Product, contenders: readonly Contender[], rounds: number): Promise<void> {
  const turns = new Map<Contender, { readonly repeats: number; readonly rounds: number }>();
  for (const contender of contenders) {
    // Warms up, and tells how many calls make one measurement.
    if ((await contender.speed(product, 1)) === undefined) continue;
    const speed = (await contender.speed(product, 1))!;
    const repeats = repeatsFor(speed, operations(product));
    const possible = Math.floor((patience / 1000) * (speed / (operations(product) * repeats)));
    turns.set(contender, { repeats, rounds: Math.min(rounds, Math.max(leastRounds, possible)) });
    contender.speeds.set(product, []);
    contender.ratios.set(product, []);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [contender, own] of turns) {
      if (round >= own.rounds) continue;
      // Each product stands beside a peak of its own moment.
      const peak = await contender.peak?.();
      const speed = (await contender.speed(product, own.repeats))!;
      contender.speeds.get(product)!.push(speed);
      if (peak === undefined) continue;
      contender.peaks.push(peak);
      contender.ratios.get(product)!.push(speed / peak);
    }
  }
}

function repeatsFor(operationsPerSecond: number, operations: number): number {
  return Math.max(1, Math.min(1000, Math.round((duration / 1000 / operations) * operationsPerSecond)));
}

function figures(contender: Contender, chosen: readonly Product[], all: readonly Contender[]): Figure[] {
  const { subject, peaks, speeds, ratios } = contender;
  const common = { name: 'gemm', subject };
  const figure = (name: string, of: readonly number[], ratio: number | null): Figure => ({
    ...common,
    case: name,
    ...summary(of.map((value) => value / 1e9)),
    unit: 'GFLOP/s',
    ratio,
  });
  return [
    ...(peaks.length === 0 ? [] : [figure('multiply-add peak', peaks, null)]),
    ...chosen.flatMap((product): Figure[] => {
      const measured = speeds.get(product);
      if (measured === undefined) return [];
      const ofPeak = ratios.get(product)!;
      const peer = contender.own ? fastestPeer(product, contender.kind, all) : undefined;
      return [
        figure(describe(product), measured, ofPeak.length === 0 ? null : median(ofPeak)),
        ...(peer === undefined ? [] : [besidePeer(product, measured, peer, common)]),
      ];
    }),
  ];
}

function fastestPeer(product: Product, kind: Kind, all: readonly Contender[]): Contender | undefined {
  return all
    .filter((other) => !other.own && other.kind === kind && other.speeds.has(product))
    .toSorted((a, b) => median(b.speeds.get(product)!) - median(a.speeds.get(product)!))[0];
}

function besidePeer(
  product: Product,
  measured: readonly number[],
  { name, speeds }: Contender,
  common: Pick<Figure, 'name' | 'subject'>,
): Figure {
  const theirs = speeds.get(product)!;
  const both = Math.min(measured.length, theirs.length);
  const ratios = summary(measured.slice(0, both).map((speed, round) => speed / theirs[round]!));
  return { ...common, case: `${describe(product)}, by ${name}`, ...ratios, unit: '', ratio: ratios.value };
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
    const b = backend.uploadBlocks!(blocks(format, rows, columns), format, [rows, columns]);
    multiply = () => backend.kernels.matmulQuantized!(a, b, { format, m, rows, columns, transposed: !transposeB });
  }
  return () => {
    backend.free(multiply());
    return operations(product);
  };
}

function blocks(format: NonNullable<Product['format']>, rows: number, columns: number): Uint8Array<ArrayBuffer> {
  if (format === 'nf4') return quantize4bit(values(rows * columns), [rows, columns]).data;
  const { blockSize, bytesPerBlock } = blockFormats[format];
  // Any bytes without the exponent of infinity and NaN are blocks.
  const bytes = new Uint8Array((rows * columns * bytesPerBlock) / blockSize);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37) & 0x3b;
  return bytes;
}

/** Of a call repeated `repeats` times, enqueued back to back. */
async function operationsPerSecond(backend: CpuBackend, call: () => number, repeats: number): Promise<number> {
  const begin = performance.now();
  let operations = 0;
  for (let i = 0; i < repeats; i++) operations += call();
  await backend.sync();
  return (operations / (performance.now() - begin)) * 1000;
}
