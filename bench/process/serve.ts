import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * The other side of `Subject`: answers requests, one JSON object a line, until there are no more. Says once that it is
 * ready. Only JSON goes to stdout: what a peer logs goes to stderr.
 */
export async function serve(ready: object, answer: (request: unknown) => Promise<object>): Promise<void> {
  const write = (object: object): boolean => process.stdout.write(`${JSON.stringify(object)}\n`);
  console.log = console.info = console.error;
  write(ready);
  for await (const line of createInterface({ input: process.stdin })) {
    write(await answer(JSON.parse(line) as unknown));
  }
}

/** The largest resident memory that this process has had, in bytes. */
export function peakBytes(): number {
  // Not resourceUsage(): a child starts with its parent's, as it was before it became another program.
  if (process.platform === 'linux') {
    const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  }
  return process.resourceUsage().maxRSS * 1024;
}
