/** The `lowrank` command as a process of its own, from its sources. */
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface CliResult {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Called with each line of stdout as it comes. */
  readonly onLine?: (line: string, kill: () => void) => void;
  /** Default one minute; then the process is killed. */
  readonly milliseconds?: number;
}

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

/** Sources that were compiled for one process need not be for the next. */
const environment = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'lowrank-e2e-compile-cache') };

/** Runs a command to its end. */
export function runCli(
  args: readonly string[],
  { onLine, milliseconds = 60_000 }: CliOptions = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@lowrank/source', main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      timeout: milliseconds,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    if (onLine !== undefined) {
      createInterface(child.stdout).on('line', (line) => onLine(line, () => child.kill('SIGKILL')));
    }
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, stdout, stderr }),
    );
  });
}
