import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { existsSync } from 'node:fs';
import { here } from './once.ts';

/** How long a subject may take over one answer before it counts as hung. */
const PATIENCE_MINUTES = 30;
const COMPLAINT_CHARACTERS = 2000;

export interface Start {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/**
 * What is measured, in a process of its own: its memory is its own, its threads are gone with it, and while it waits for
 * a request it computes nothing. Subjects that wait side by side are asked in turns, so that a slow minute of the
 * machine slows all of them.
 */
export class Subject implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #complaint = '';
  #ready: unknown;
  readonly #closed: Promise<string>;

  private constructor(name: string, { file, args, env = {}, cwd }: Start) {
    this.name = name;
    this.#child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT_CHARACTERS);
    });
    this.#child.stdin!.on('error', () => {});
    this.#closed = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', (code, signal) => resolve(`ended with ${code ?? signal}`));
    });
  }

  /** Starts it, and waits until it is ready. */
  static async start(name: string, how: Start): Promise<Subject> {
    const subject = new Subject(name, how);
    try {
      subject.#ready = await subject.#answer();
      return subject;
    } catch (error) {
      await subject[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What it said when it was ready. */
  get ready(): unknown {
    return this.#ready;
  }

  async ask(request: object): Promise<unknown> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    return this.#answer();
  }

  async #answer(): Promise<unknown> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MINUTES * 60_000);
    try {
      const line = await this.#lines.next();
      if (line.done !== true) return JSON.parse(line.value) as unknown;
      throw new Error(`${this.name} ${await this.#closed} before it answered\n${this.#complaint.trim()}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells it that there is nothing more to do, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#closed;
    clearTimeout(timer);
  }
}

/** A TypeScript program of ours, on the Node that runs this. */
export function program(url: string, name: string, args: readonly string[] = []): Start {
  const file = here(url, name);
  if (!existsSync(file)) throw new Error(`there is no ${file}`);
  return {
    file: process.execPath,
    args: ['--conditions=@lowrank/source', '--disable-warning=ExperimentalWarning', file, ...args],
  };
}
