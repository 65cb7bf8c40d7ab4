/** Thrown by a command that was stopped by the user and has told so. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Aborts at the first Ctrl-C (or SIGTERM) so that work can be saved; a second one ends the process at once. */
export function onInterrupt(): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const release = (): void => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  return { signal: controller.signal, release };
}
