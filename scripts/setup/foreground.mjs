import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { SetupError, environment, root } from './stage.mjs';

/**
 * Runs a program on our own standard streams and returns its exit code. Signals pass to it. Ctrl-C at a terminal
 * reaches it without us, and must not arrive twice (the second one means "at once"); we only wait for its end.
 *
 * @param {string} file
 * @param {string[]} args
 * @returns {Promise<number>}
 */
export function runInForeground(file, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, env: environment(), stdio: 'inherit' });
    process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
    for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => child.kill(signal));
    }
    child.on('error', (error) => reject(new SetupError(error.message, 'Delete node_modules and try again.')));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
