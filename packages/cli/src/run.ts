import { CommanderError } from 'commander';
import { Interrupted } from './interrupt.ts';
import { messageOf } from './message-of.ts';
import { makeProgram } from './program.ts';

/** Exit codes: done, failed through a fault of ours, wrong input, interrupted. */
const exit = { done: 0, fault: 1, input: 2, interrupted: 130 } as const;

/** Runs the command line; gives the exit code. Errors are told on stderr, with `--json` as an event on stdout too. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await makeProgram().parseAsync(args, { from: 'user' });
    return exit.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exit.done : tellOption(error, args);
    if (error instanceof Interrupted) return exit.interrupted;
    return tell(error, args.includes('--json'));
  }
}

/** Wrong options: commander has told them on stderr. */
function tellOption(error: CommanderError, args: readonly string[]): number {
  if (args.includes('--json')) {
    process.stdout.write(
      `${JSON.stringify({ event: 'error', code: 'CLI_OPTION', message: error.message.replace(/^error: /, '') })}\n`,
    );
  }
  return exit.input;
}

/** An error with a code is a message for the user; any other is a fault of ours, told with its stack. */
function tell(error: unknown, json: boolean): number {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  const typed =
    error instanceof Error &&
    typeof code === 'string' &&
    /^(CLI|MODELS|GGUF|SAFETENSORS|CORE|ADAPTER|BACKEND)_/.test(code);
  const message = messageOf(error);
  if (json) process.stdout.write(`${JSON.stringify({ event: 'error', code: typed ? code : 'FAULT', message })}\n`);
  if (typed) {
    process.stderr.write(`error: ${message} [${code}]\n`);
    return exit.input;
  }
  process.stderr.write(`fault: ${error instanceof Error ? (error.stack ?? message) : message}\n`);
  return exit.fault;
}
