import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { engineNames, gemm } from './gemm.ts';

/** A wrong command line: the message goes to stderr, the exit code is 2. */
class UsageError extends Error {}

type Options = ReturnType<typeof parse>['values'];

/** By name, then by backend. What needs WebGPU is loaded when it is asked for. */
const benchmarks: Record<string, Record<string, (options: Options) => Promise<void>>> = {
  gemm: {
    cpu: async ({ filter, json, ...options }) => {
      await gemm({ threads: counts('threads', options.threads), engines: engines(options.engines), filter, json });
    },
    webgpu: async ({ filter, json }) => {
      const { webgpuGemm } = await import('./webgpu/gemm.ts');
      await webgpuGemm({ filter, json });
    },
  },
  train: {
    webgpu: async ({ model, json, ...options }) => {
      const [batch] = counts('batch', options.batch);
      const [tokens] = counts('tokens', options.tokens);
      const { webgpuTrain } = await import('./webgpu/train.ts');
      await webgpuTrain({ model, batch: batch!, tokens: tokens!, json });
    },
  },
};

async function main(): Promise<void> {
  const { values, positionals } = parse();
  if (values.help === true) {
    process.stdout.write(await readFile(new URL('usage.txt', import.meta.url), 'utf8'));
    return;
  }
  const [name, ...rest] = positionals;
  const backends = name === undefined ? undefined : benchmarks[name];
  if (backends === undefined || rest.length > 0) {
    throw new UsageError(`Name one benchmark of: ${Object.keys(benchmarks).join(', ')}. See --help.`);
  }
  const benchmark = backends[values.backend];
  if (benchmark === undefined) {
    throw new UsageError(`${name} runs with --backend ${Object.keys(backends).join(' or ')}, not '${values.backend}'`);
  }
  await benchmark(values);
}

function counts(option: string, list: string): number[] {
  const numbers = list.split(',').map(Number);
  if (numbers.some((count) => !Number.isInteger(count) || count < 1)) {
    throw new UsageError(`--${option} takes whole numbers from 1 on, not '${list}'`);
  }
  return numbers;
}

function engines(list: string): string[] {
  const names = list.split(',');
  const unknown = names.filter((engine) => !(engineNames as readonly string[]).includes(engine));
  if (unknown.length > 0) throw new UsageError(`--engines knows ${engineNames.join(', ')}, not '${unknown.join(',')}'`);
  return names;
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        backend: { type: 'string', default: 'cpu' },
        threads: { type: 'string', default: '1,2' },
        engines: { type: 'string', default: 'native,wasm,wasm-baseline' },
        filter: { type: 'string', default: '' },
        model: { type: 'string', default: 'smollm2-135m-instruct' },
        batch: { type: 'string', default: '1' },
        tokens: { type: 'string', default: '16' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 2;
}
