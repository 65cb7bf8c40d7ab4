import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A line of `lowrank --json`. */
export interface CliEvent extends Readonly<Record<string, unknown>> {
  readonly event: string;
}

export interface CliRun {
  readonly events: readonly CliEvent[];
  /** Of the process, base model and all. */
  readonly peakMemoryBytes: number;
}

/**
 * Runs the `lowrank` command in a process of its own, so that its memory is its alone.
 * @param onEvent called with each line as it comes.
 * @throws Error with the command's own words when it fails.
 */
export async function runCli(args: readonly string[], onEvent: (event: CliEvent) => void = () => {}): Promise<CliRun> {
  const script = fileURLToPath(new URL('cli-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@lowrank/source', script, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const events: CliEvent[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const event = JSON.parse(line) as CliEvent;
    events.push(event);
    onEvent(event);
  });
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let peakMemoryBytes = 0;
  child.on('message', (message: { readonly peakMemoryBytes: number }) => ({ peakMemoryBytes } = message));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`lowrank ${args.join(' ')} ended with ${code}:\n${stderr}`);
  return { events, peakMemoryBytes };
}
