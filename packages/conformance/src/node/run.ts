import { CommanderError } from 'commander';
import { CommandError } from './command-error.ts';
import { makeProgram } from './program.ts';

/** Exit codes: all right; something failed; wrong options, or nothing that could be tried. */
const exit = { right: 0, failed: 1, input: 2 } as const;

/** Runs the command line; gives the exit code. */
export async function run(
  args: readonly string[],
  write: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<number> {
  let failures = 0;
  try {
    await makeProgram(write, (count) => {
      failures = count;
    }).parseAsync(args, { from: 'user' });
    return failures === 0 ? exit.right : exit.failed;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exit.right : exit.input;
    const text = error instanceof CommandError ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`error: ${text}\n`);
    return exit.input;
  }
}
