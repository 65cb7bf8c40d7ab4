import { parseArgs } from 'node:util';
import { engineNames } from './gemm.ts';

/** A wrong command line: the message goes to stderr, the exit code is 2. */
export class UsageError extends Error {}

export type Options = ReturnType<typeof parse>['values'];

export function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        backend: { type: 'string', default: 'cpu' },
        threads: { type: 'string' },
        engines: { type: 'string', default: 'native,wasm,wasm-baseline' },
        peers: { type: 'string' },
        filter: { type: 'string', default: '' },
        subjects: { type: 'string', default: '' },
        model: { type: 'string', default: 'smollm2-135m-instruct' },
        batch: { type: 'string' },
        tokens: { type: 'string' },
        steps: { type: 'string' },
        rounds: { type: 'string' },
        out: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The numbers of `--threads` and the like. */
export function counts(option: string, list: string): number[] {
  const numbers = list.split(',').map(Number);
  if (numbers.some((count) => !Number.isInteger(count) || count < 1)) {
    throw new UsageError(`--${option} takes whole numbers from 1 on, not '${list}'`);
  }
  return numbers;
}

/** One number, or what stands in its place where the option is not given. */
export function count(options: Options, option: 'batch' | 'tokens' | 'steps' | 'rounds', otherwise: number): number {
  return optionalCount(options, option) ?? otherwise;
}

export function optionalCount(options: Options, option: 'batch' | 'tokens' | 'steps' | 'rounds'): number | undefined {
  const given = options[option];
  return given === undefined ? undefined : counts(option, given)[0]!;
}

export function engines(list: string): string[] {
  return known('engines', list, engineNames);
}

export function known(option: string, list: string, names: readonly string[]): string[] {
  const chosen = list.split(',').filter((name) => name !== '');
  const unknown = chosen.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new UsageError(`--${option} knows ${names.join(', ')}, not '${unknown.join(',')}'`);
  return chosen;
}
