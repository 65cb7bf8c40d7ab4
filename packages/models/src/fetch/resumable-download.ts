import { open, stat } from 'node:fs/promises';

/** Bytes from an offset to the end. */
export type RangeReader = (offset: number) => ReadableStream<Uint8Array>;

/** No byte for this long: the connection is taken for dead. */
const STALL_MILLISECONDS = 30_000;

/**
 * Brings `path` to `totalBytes` bytes: goes on where an earlier attempt stopped. What arrived before a failure stays.
 * @throws whatever `read`'s stream fails with; an error when it stalls, or ends early or late.
 */
export async function resumeDownload(
  path: string,
  totalBytes: number,
  read: RangeReader,
  report: (receivedBytes: number) => void,
  {
    signal,
    stallMilliseconds = STALL_MILLISECONDS,
  }: { signal?: AbortSignal | undefined; stallMilliseconds?: number } = {},
): Promise<void> {
  let received = await sizeOf(path);
  // Longer than the whole: not from this file.
  if (received > totalBytes) received = 0;
  report(received);
  if (received === totalBytes) return;
  const handle = await open(path, received === 0 ? 'w' : 'r+');
  const reader = read(received).getReader();
  try {
    for (;;) {
      const { done, value } = await orStall(reader.read(), stallMilliseconds, signal);
      if (done) break;
      if (received + value.length > totalBytes) throw new Error(`more than the ${totalBytes} bytes announced`);
      await handle.write(value, 0, value.length, received);
      received += value.length;
      report(received);
    }
    if (received < totalBytes) throw new Error(`the connection ended after ${received} of ${totalBytes} bytes`);
    await handle.sync();
  } finally {
    await handle.close();
    // A reader that is done or failed has nothing to cancel.
    void reader.cancel().catch(() => undefined);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

/** The promise's outcome, unless it takes too long or is no longer wanted. */
function orStall<T>(promise: Promise<T>, milliseconds: number, signal: AbortSignal | undefined): Promise<T> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no data for ${milliseconds / 1000} s`)), milliseconds);
    const abort = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  });
}
