import { spawn } from 'node:child_process';

/** The last lines of a program's complaints; enough to tell what is wrong. */
const COMPLAINT_CHARACTERS = 600;

/**
 * Runs a program to its end, without a shell.
 * @throws Error with what it wrote on stderr where it fails, cannot be started, or takes longer than `milliseconds`.
 */
export function runCommand(
  command: string,
  args: readonly string[],
  { signal, milliseconds }: { readonly signal: AbortSignal | undefined; readonly milliseconds: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], signal });
    // Not spawn's own time-out: Node leaves that running, and the process alive with it, where the program cannot be started.
    const timer = setTimeout(() => child.kill(), milliseconds);
    let complaint = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      complaint = (complaint + text).slice(-COMPLAINT_CHARACTERS);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(error.code === 'ENOENT' ? new Error(`${command} is not installed`, { cause: error }) : error);
    });
    child.on('close', (code, killedBy) => {
      clearTimeout(timer);
      if (code === 0) return resolve();
      const last = complaint.trim().split('\n').slice(-3).join(' ');
      const end = killedBy === null ? `ended with code ${code}` : `was stopped (${killedBy})`;
      return reject(new Error(`${command} ${args.slice(0, 4).join(' ')} … ${end}${last === '' ? '' : `: ${last}`}`));
    });
  });
}
