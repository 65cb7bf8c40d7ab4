import { lessIsBetter, threadsOf, withoutThreads } from './lines.ts';
import type { Line } from '../report.ts';

/** What is promised: a value that a run measures, and the least or the most that it may be. */
export interface Bar {
  readonly id: string;
  readonly what: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Undefined where the run did not measure it. */
  measured(lines: readonly Line[]): number | undefined;
}

interface Wanted {
  readonly name: string;
  readonly case: string | RegExp;
  readonly subject: string | RegExp;
  readonly threads?: number;
}

function find(lines: readonly Line[], wanted: Wanted): Line | undefined {
  const fits = (pattern: string | RegExp, text: string): boolean =>
    typeof pattern === 'string' ? pattern === text : pattern.test(text);
  return lines.find(
    (line) =>
      line.name === wanted.name &&
      fits(wanted.case, line.case) &&
      fits(wanted.subject, withoutThreads(line)) &&
      (wanted.threads === undefined || threadsOf(line) === wanted.threads),
  );
}

const ratio =
  (wanted: Wanted) =>
  (lines: readonly Line[]): number | undefined =>
    find(lines, wanted)?.ratio ?? undefined;
const value =
  (wanted: Wanted) =>
  (lines: readonly Line[]): number | undefined =>
    find(lines, wanted)?.value;
/** One figure by another. */
const by =
  (above: Wanted, below: Wanted) =>
  (lines: readonly Line[]): number | undefined => {
    const [a, b] = [find(lines, above), find(lines, below)];
    return a === undefined || b === undefined ? undefined : a.value / b.value;
  };

const matrix = 'matrix 512x576x1536';
const native = { name: 'gemm', subject: /^native/ };
const wasm = { name: 'gemm', subject: 'wasm relaxed', threads: 1 };
const quantized = (format: string, direction: string, size: string): Bar => ({
  id: `gemm-${format}-${direction}`,
  what: `${format} base, ${direction}, by f32`,
  atLeast: 0.9,
  measured: by(
    { ...native, case: `layer ${format} ${direction} ${size}`, threads: 1 },
    { ...native, case: `layer ${direction} ${size}`, threads: 1 },
  ),
});
const step = 'LoRA on all linear layers, 4 x 256';
const trained = (text: string) => ({ name: 'train', case: text, subject: 'lowrank native', threads: 2 });
const length = 'sequence length, checkpointing, ';
const grown = (text: string) => ({ name: 'grow', case: `${length}${text}`, subject: 'lowrank native' });
const small = { name: 'size', subject: 'core, cpu and lora' };

export const bars: readonly Bar[] = [
  ...[1, 2].flatMap((threads): Bar[] => [
    {
      id: `gemm-native-${threads}`,
      what: `GEMM 512x576x1536, native, ${threads} thread${threads === 1 ? '' : 's'}, of the measured peak`,
      atLeast: threads === 1 ? 0.9 : 0.85,
      measured: ratio({ ...native, case: matrix, threads }),
    },
    {
      id: `gemm-native-peer-${threads}`,
      what: `the same by the faster of onnxruntime-node and tfjs-node`,
      atLeast: 1,
      measured: value({ ...native, case: /^matrix .*, by /, threads }),
    },
  ]),
  {
    id: 'gemm-wasm',
    what: "GEMM 512x576x1536, WASM relaxed, of WASM's measured peak",
    atLeast: 0.85,
    measured: ratio({ ...wasm, case: matrix }),
  },
  {
    id: 'gemm-wasm-peer',
    what: 'the same by the best WASM peer',
    atLeast: 2,
    measured: value({ ...wasm, case: /^matrix .*, by / }),
  },
  quantized('q4_1', 'forward', '1024x1536x576'),
  quantized('q4_1', 'backward', '1024x576x1536'),
  quantized('nf4', 'forward', '1024x1536x576'),
  quantized('nf4', 'backward', '1024x576x1536'),
  {
    id: 'train-native',
    what: 'LoRA step, all linear, native, by PyTorch + PEFT',
    atLeast: 1.5,
    measured: ratio(trained(step)),
  },
  {
    id: 'train-wasm',
    what: 'the same in WASM',
    atLeast: 0.8,
    measured: ratio({ ...trained(step), subject: 'lowrank WASM' }),
  },
  {
    id: 'train-bf16',
    what: "the same with bf16 products, by PyTorch's bf16 autocast",
    atLeast: 1,
    measured: ratio(trained(step.replace(', 4', ', bf16 products, 4'))),
  },
  {
    id: 'memory-quantized',
    what: "peak memory of that step with the quantized base, by PEFT's",
    atMost: 0.5,
    measured: ratio(trained(`${step.replace(', 4', ', base in its own blocks, 4')}, peak memory`)),
  },
  {
    id: 'memory-f32',
    what: 'the same with the base in f32',
    atMost: 0.75,
    measured: ratio(trained(`${step}, peak memory`)),
  },
  {
    id: 'dora',
    what: 'time of DoRA by that of LoRA',
    atMost: 1.08,
    measured: value(trained('time of DoRA by that of LoRA')),
  },
  {
    id: 'chat',
    what: "chat: time to the same validation loss, by PEFT's",
    atMost: 0.5,
    measured: ratio({ name: 'chat', case: /time to the same/, subject: 'lowrank native' }),
  },
  {
    id: 'grow-time',
    what: "exponent of time in the sequence's length, without attention's own term",
    atMost: 1.15,
    measured: value(grown('exponent of time without the quadratic term')),
  },
  {
    id: 'grow-memory',
    what: "exponent of memory in the sequence's length",
    atMost: 1.15,
    measured: value(grown('exponent of memory')),
  },
  ...[
    { what: 'decode', atLeast: 0.7 },
    { what: 'prompt', atLeast: 0.5 },
  ].map(({ what, atLeast }): Bar => ({
    id: `generate-${what}`,
    what: `${what} by llama.cpp on the same file, 2 threads`,
    atLeast,
    measured: ratio({
      name: 'generate',
      case: `as given, prompt of 128, ${what}`,
      subject: 'lowrank native',
      threads: 2,
    }),
  })),
  {
    id: 'size-small',
    what: 'core, cpu and lora installed without native addons, kB',
    atMost: 400,
    measured: value({ ...small, case: 'installed, its own files without native addons' }),
  },
  {
    id: 'size-all',
    what: 'the same with native addons, kB',
    atMost: 3000,
    measured: value({ ...small, case: 'installed, its own files' }),
  },
  { id: 'import', what: 'import of core, cpu and lora, ms', atMost: 50, measured: value({ ...small, case: 'import' }) },
];

export function isMet({ atLeast = -Infinity, atMost = Infinity }: Bar, measured: number): boolean {
  return measured >= atLeast && measured <= atMost;
}

/** Our figures that a peer's are better than. */
export function losses(lines: readonly Line[]): Line[] {
  return lines.filter((line) => {
    if (line.ratio === null || line.ratio === undefined) return false;
    // The ratio of a product is that to the machine's peak; the one to a peer has a line of its own.
    if (line.name === 'gemm' && !line.case.includes(', by ')) return false;
    return lessIsBetter(line) ? line.ratio > 1 : line.ratio < 1;
  });
}
