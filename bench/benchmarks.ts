import { fileURLToPath } from 'node:url';
import { count, counts, engines, known, optionalCount, UsageError, type Options } from './options.ts';
import type { Sizes } from './training/cases.ts';

export type Benchmark = (options: Options, operands: readonly string[]) => Promise<void>;

/** `--quick`: everything runs, in sizes that say nothing. */
const quickShape = { batch: 1, tokens: 16 };

function common(options: Options): { threads: number[]; rounds: number; steps: number } {
  const { quick } = options;
  return {
    threads: counts('threads', options.threads ?? (quick ? '1' : '2')),
    rounds: count(options, 'rounds', quick ? 1 : 3),
    steps: count(options, 'steps', 1),
  };
}

function sizes(options: Options): Sizes {
  const { quick } = options;
  const batch = optionalCount(options, 'batch') ?? (quick ? quickShape.batch : undefined);
  const tokens = optionalCount(options, 'tokens') ?? (quick ? quickShape.tokens : undefined);
  return { ...(batch === undefined ? {} : { batch }), ...(tokens === undefined ? {} : { tokens }) };
}

/** By name, then by backend. What a benchmark needs is loaded when it is asked for. */
export const benchmarks: Readonly<Record<string, Readonly<Record<string, Benchmark>>>> = {
  gemm: {
    cpu: async (options) => {
      const { filter, json, quick } = options;
      const { peerNames } = await import('./gemm/peers.ts');
      const { gemm } = await import('./gemm.ts');
      await gemm({
        threads: counts('threads', options.threads ?? '1,2'),
        engines: engines(options.engines),
        peers: options.peers === 'none' ? [] : known('peers', options.peers ?? peerNames.join(','), peerNames),
        rounds: count(options, 'rounds', quick ? 1 : 9),
        filter,
        json,
      });
    },
    webgpu: async ({ filter, json }) => {
      const { webgpuGemm } = await import('./webgpu/gemm.ts');
      await webgpuGemm({ filter, json });
    },
  },
  train: {
    cpu: async (options) => {
      const { model, filter, subjects, json } = options;
      const { train } = await import('./training/train.ts');
      await train({ ...common(options), ...sizes(options), model, filter, subjects, json });
    },
    webgpu: async (options) => {
      const { model, json } = options;
      const [batch, tokens] = [count(options, 'batch', 1), count(options, 'tokens', 16)];
      const { webgpuTrain } = await import('./webgpu/train.ts');
      await webgpuTrain({ model, batch, tokens, json });
    },
  },
  profile: {
    cpu: async (options) => {
      const { model, filter, json } = options;
      const { profile } = await import('./training/profile.ts');
      const { threads } = common({ ...options, threads: options.threads ?? (options.quick ? '1' : '2') });
      await profile({ ...sizes(options), threads, model, filter, json });
    },
  },
  generate: {
    cpu: async (options) => {
      const { model, filter, subjects, json, quick } = options;
      const { generate } = await import('./generate/generate.ts');
      const tokens = count(options, 'tokens', quick ? 4 : 64);
      const prompts = quick ? [16] : [128, 512];
      await generate({ ...common(options), model, filter, subjects, prompts, tokens, json });
    },
  },
  chat: {
    cpu: async (options) => {
      const { model, subjects, json, quick } = options;
      const rounds = count(options, 'rounds', quick ? 1 : 2);
      const { chat } = await import('./chat/chat.ts');
      await chat({ model, threads: common(options).threads, rounds, subjects, json, quick });
    },
  },
  load: {
    cpu: async (options) => {
      const { model, subjects, json, quick } = options;
      const { load } = await import('./training/load.ts');
      const rounds = count(options, 'rounds', quick ? 1 : 3);
      await load({ model, threads: common(options).threads, rounds, subjects, json });
    },
  },
  grow: {
    cpu: async (options) => {
      const { model, filter, subjects, json, quick } = options;
      const { grow } = await import('./grow/grow.ts');
      const steps = count(options, 'steps', quick ? 1 : 3);
      await grow({ model, threads: common(options).threads, steps, filter, subjects, quick, json });
    },
  },
  size: {
    cpu: async (options) => {
      const { size } = await import('./size/size.ts');
      const { rounds } = common(options);
      await size({ rounds, peers: options.peers !== 'none', json: options.json });
    },
  },
  page: {
    cpu: async ({ out }, [results, ...rest]) => {
      if (results === undefined || rest.length > 0) {
        throw new UsageError(
          'page takes the file that npm run --silent bench -- all --json > results.jsonl has written',
        );
      }
      const { writePage } = await import('./page/page.ts');
      await writePage(results, out ?? fileURLToPath(new URL('../docs', import.meta.url)));
    },
  },
  all: {
    cpu: async (options) => {
      for (const name of everything) {
        try {
          await benchmarks[name]!['cpu']!(options, []);
        } catch (error) {
          if (error instanceof UsageError) throw error;
          // The others may still run; the exit code tells that not all did.
          process.stderr.write(`bench: ${name} failed: ${error instanceof Error ? error.message : String(error)}\n`);
          process.exitCode = 1;
        }
      }
    },
  },
};

/** What `all` runs: first what says most, should there be no time for all. */
const everything = ['train', 'gemm', 'chat', 'generate', 'grow', 'size', 'load', 'profile'] as const;
