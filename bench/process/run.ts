import { spawn } from 'node:child_process';

/** The last lines of a program's complaints; enough to tell what is wrong. */
const COMPLAINT_CHARACTERS = 2000;

/**
 * Runs a program to its end, quietly.
 * @throws Error with the end of what it wrote, where it fails, cannot be started, or takes longer than `minutes`.
 */
export function run(
  file: string,
  args: readonly string[],
  { cwd, minutes, env = process.env }: { cwd?: string; minutes: number; env?: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), minutes * 60_000);
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      output = (output + text).slice(-COMPLAINT_CHARACTERS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-COMPLAINT_CHARACTERS);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(stdout);
      else reject(new Error(`${file} ${args.slice(0, 3).join(' ')} ended with ${code ?? signal}\n${output.trim()}`));
    });
  });
}
