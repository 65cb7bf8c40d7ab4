import { spawn } from 'node:child_process';

/** The last lines of a program's complaints; enough to tell what is wrong. */
const COMPLAINT_CHARACTERS = 2000;

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
      output += `\nstopped after ${milliseconds / 1000} s`;
      if (group && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      else child.kill('SIGKILL');
    };
    const timer = setTimeout(stop, milliseconds);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ ok: false, output: `${file}: ${error.message}` });
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ ok: code === 0, output: output.trim() });
    });
  });
}
