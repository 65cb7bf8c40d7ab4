import { readFile } from 'node:fs/promises';
import { benchmarks } from './benchmarks.ts';
import { parse, UsageError } from './options.ts';

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2));
  if (values.help === true) {
    process.stdout.write(await readFile(new URL('usage.txt', import.meta.url), 'utf8'));
    return;
  }
  const [name, ...operands] = positionals;
  const backends = name !== undefined && Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
  if (backends === undefined || (operands.length > 0 && name !== 'page')) {
    throw new UsageError(`Name one benchmark of: ${Object.keys(benchmarks).join(', ')}. See --help.`);
  }
  const benchmark = Object.hasOwn(backends, values.backend) ? backends[values.backend] : undefined;
  if (benchmark === undefined) {
    throw new UsageError(`${name} runs with --backend ${Object.keys(backends).join(' or ')}, not '${values.backend}'`);
  }
  await benchmark(values, operands);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 2;
}
