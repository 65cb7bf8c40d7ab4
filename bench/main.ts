import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { engineNames, gemm } from './gemm.ts';

const benchmarks: Record<string, typeof gemm> = { gemm };

/** A wrong command line: the message goes to stderr, the exit code is 2. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parse();
  if (values.help === true) {
    process.stdout.write(await readFile(new URL('usage.txt', import.meta.url), 'utf8'));
    return;
  }
  const [name, ...rest] = positionals;
  const benchmark = name === undefined ? undefined : benchmarks[name];
  if (benchmark === undefined || rest.length > 0) {
    throw new UsageError(`Name one benchmark of: ${Object.keys(benchmarks).join(', ')}. See --help.`);
  }
  const threads = values.threads.split(',').map(Number);
  if (threads.some((count) => !Number.isInteger(count) || count < 1)) {
    throw new UsageError(`--threads takes whole numbers from 1 on, not '${values.threads}'`);
  }
  const engines = values.engines.split(',');
  const unknown = engines.filter((engine) => !(engineNames as readonly string[]).includes(engine));
  if (unknown.length > 0) throw new UsageError(`--engines knows ${engineNames.join(', ')}, not '${unknown.join(',')}'`);
  await benchmark({ threads, engines, filter: values.filter, json: values.json });
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        threads: { type: 'string', default: '1,2' },
        engines: { type: 'string', default: 'native,wasm,wasm-baseline' },
        filter: { type: 'string', default: '' },
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
