import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A set-up step that cannot go on: what happened, and what the reader can do. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} advice
   */
  constructor(message, advice) {
    super(message);
    this.name = 'SetupError';
    this.advice = advice;
  }
}

/**
 * The Node that the lockfile pins (the `node` package's binary).
 *
 * @returns {string}
 */
export function node() {
  const binary = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(binary)) return binary;
  throw new SetupError(
    "the 'node' package has no binary",
    "Its install script did not run. Delete node_modules and try again without npm's ignore-scripts setting.",
  );
}

/**
 * The environment of everything that is started here: commands of node_modules/.bin, Node among them, come first.
 *
 * @returns {NodeJS.ProcessEnv}
 */
export function environment() {
  const bin = join(root, 'node_modules', '.bin');
  const key = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  const delimiter = process.platform === 'win32' ? ';' : ':';
  return { ...process.env, [key]: [bin, process.env[key]].filter(Boolean).join(delimiter) };
}

/**
 * Runs one step of the set-up and says on stderr what it is and how long it took; nothing where it took under a second,
 * having had nothing to do.
 *
 * @param {string} name
 * @param {() => Promise<void>} run
 */
export async function stage(name, run) {
  const start = performance.now();
  const announcement = setTimeout(() => process.stderr.write(`set-up: ${name} ...\n`), 1000);
  try {
    await run();
  } finally {
    clearTimeout(announcement);
  }
  const seconds = (performance.now() - start) / 1000;
  if (seconds >= 1) process.stderr.write(`set-up: ${name} ready in ${seconds.toFixed(1)} s\n`);
}

/**
 * Runs a program quietly and collects what it prints.
 *
 * @param {string} file
 * @param {string[]} args
 * @returns {Promise<{ code: number, output: string }>} code 127 where the program cannot be started
 */
export function collect(file, args) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
