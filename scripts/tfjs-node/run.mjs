import { spawn } from 'node:child_process';

/** The last lines of a program's complaints; enough to tell what is wrong. */
const COMPLAINT_CHARACTERS = 2000;
const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * Runs a program to its end, quietly, and stops it and what it has started where it takes longer than `milliseconds`.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd: string, milliseconds: number, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<{ ok: boolean, output: string }>} whether it ended with code 0, and the end of what it printed
 */
export function run(file, args, { cwd, milliseconds, env = process.env }) {
  return new Promise((resolve) => {
    const group = process.platform !== 'win32';
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: group });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        output = (output + text).slice(-COMPLAINT_CHARACTERS);
      });
    }
    const stop = () => {
      if (group && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      else child.kill('SIGKILL');
    };
    const timer = setTimeout(() => {
      output += `\nstopped after ${milliseconds / 1000} s`;
      stop();
    }, milliseconds);
    // In a group of its own it does not hear of Ctrl-C.
    const interrupted = () => {
      stop();
      process.exit(130);
    };
    for (const signal of signals) process.on(signal, interrupted);
    const end = (/** @type {{ ok: boolean, output: string }} */ result) => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, interrupted);
      resolve(result);
    };
    child.on('error', (error) => end({ ok: false, output: `${file}: ${error.message}` }));
    child.on('close', (code) => end({ ok: code === 0, output: output.trim() }));
  });
}
