// `scripts/setup.mjs` in a small checkout of its own, with an npm and a command that only say that they were there.
import { spawn } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const scripts = fileURLToPath(new URL('../scripts', import.meta.url));
let checkout: string;

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(checkout, path)), { recursive: true });
  await writeFile(join(checkout, path), text);
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: string[]): { child: ReturnType<typeof spawn>; outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [join(checkout, 'scripts', 'setup.mjs'), ...args], {
    env: { PATH: process.env['PATH'], npm_execpath: join(checkout, 'npm-cli.mjs') },
    timeout: 30_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, outcome };
}

const setup = (...args: string[]): Promise<Outcome> => start(...args).outcome;

/** How often npm was asked to install. */
async function installs(): Promise<number> {
  const log = await readFile(join(checkout, 'npm.log'), 'utf8').catch(() => '');
  return log.split('\n').filter((line) => line.startsWith('ci ')).length;
}

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'lowrank-setup-'));
  await cp(scripts, join(checkout, 'scripts'), {
    recursive: true,
    filter: (path) => !path.includes('node_modules'),
  });
  await write('package-lock.json', '{ "packages": {} }');
  await write('packages/backend-cpu/scripts/build-kernels.mjs', 'console.log("kernels");');
  await write('scripts/test.mjs', 'console.log(process.argv.slice(2).join(" ")); process.exit(7);');
  await write(
    'npm-cli.mjs',
    `import { appendFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
     const here = import.meta.dirname;
     appendFileSync(here + '/npm.log', process.argv.slice(2).join(' ') + '\\n');
     if (existsSync(here + '/offline')) { console.error('npm error code ENOTFOUND'); process.exit(1); }
     mkdirSync(here + '/node_modules/node/bin', { recursive: true });
     if (!existsSync(here + '/node_modules/node/bin/node')) symlinkSync(process.execPath, here + '/node_modules/node/bin/node');`,
  );
});

afterEach(() => rm(checkout, { recursive: true, force: true }));

describe('set-up', () => {
  it('shows help without installing anything', async () => {
    const { code, stdout } = await setup('--then', 'test', '--help');
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('Usage: npm test') });
    expect(await installs()).toBe(0);
  });

  it('installs, then runs the command with its arguments, whose output and exit code are all there is', async () => {
    expect(await setup('--then', 'test', 'one', '--two')).toMatchObject({ code: 7, stdout: 'one --two\n' });
    expect(await installs()).toBe(1);
  });

  it('does not repeat what is done', async () => {
    await setup('--then', 'test');
    expect(await setup('--then', 'test', 'again')).toMatchObject({ code: 7, stdout: 'again\n' });
    expect(await installs()).toBe(1);
  });

  it('installs again when the lockfile has changed', async () => {
    await setup('--then', 'test');
    await appendFile(join(checkout, 'package-lock.json'), '\n');
    await write('node_modules/.package-lock.json', '{ "packages": { "node_modules/a": { "version": "1.0.0" } } }');
    await write('package-lock.json', '{ "packages": { "node_modules/a": { "version": "2.0.0" } } }');
    await setup('--then', 'test');
    expect(await installs()).toBe(2);
  });

  it('takes an install that somebody made by hand', async () => {
    await setup('--then', 'test');
    const packages = '{ "packages": { "node_modules/a": { "version": "2.0.0" } } }';
    await write('package-lock.json', packages);
    await write('node_modules/.package-lock.json', packages);
    await setup('--then', 'test');
    expect(await installs()).toBe(1);
  });

  it('says what to do where the registry is not reached, and tries again the next time', async () => {
    await write('offline', '');
    expect(await setup('--then', 'test')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('check the network'),
    });
    await rm(join(checkout, 'offline'));
    expect(await setup('--then', 'test')).toMatchObject({ code: 7 });
    expect(await installs()).toBe(2);
  });

  it('fails where the kernels cannot be built, and shows why', async () => {
    await write('packages/backend-cpu/scripts/build-kernels.mjs', 'console.error("no compiler"); process.exit(1);');
    expect(await setup('--then', 'test')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('no compiler'),
    });
  });

  it('passes signals on and ends as the command ends', async () => {
    await write(
      'scripts/test.mjs',
      'process.on("SIGTERM", () => process.exit(42)); setInterval(() => {}, 1000); console.log("up");',
    );
    const { child, outcome } = start('--then', 'test');
    child.stdout?.once('data', () => child.kill('SIGTERM'));
    expect(await outcome).toMatchObject({ code: 42, stdout: 'up\n' });
  });

  it('refuses a command that there is not', async () => {
    expect(await setup('--then', 'dance')).toMatchObject({ code: 2, stderr: expect.stringContaining('dance') });
    expect(await installs()).toBe(0);
  });
});
