// The packages as a stranger gets them: built, packed, and installed into an empty project outside of the repository.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packAll } from '../../scripts/check/pack.mjs';
import { publishedPackages } from '../../scripts/check/packages.mjs';
import { npmCommand } from '../../scripts/setup/npm.mjs';
import { allPages, root } from './pages.ts';
import { run, runTypeScript } from './run.ts';

let project: string;
const names = publishedPackages().map(({ name }) => name);

beforeAll(async () => {
  const turbo = join(root, 'node_modules', '.bin', 'turbo');
  const build = await run(process.execPath, [turbo, 'run', 'build', '--output-logs=errors-only'], {
    cwd: root,
    timeout: 300_000,
  });
  expect(build, build.stdout).toMatchObject({ code: 0 });

  project = await mkdtemp(join(tmpdir(), 'lowrank-packed-'));
  const tarballs = join(project, 'tarballs');
  await mkdir(tarballs);
  const files = await packAll(tarballs);
  expect(files).toHaveLength(names.length);
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const [npm, ...npmArgs] = npmCommand();
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const install = await run(npm, [...npmArgs, 'install', ...flags, ...files], { cwd: project, timeout: 300_000 });
  expect(install, install.stderr).toMatchObject({ code: 0 });
}, 600_000);

afterAll(() => rm(project, { recursive: true, force: true }));

describe('the packed packages', () => {
  it.each(names)('%s is imported by its name', async (name) => {
    const code = `console.log(Object.keys(await import(${JSON.stringify(name)})).length > 0)`;
    expect(await runTypeScript(code, project)).toEqual({ code: 0, stdout: 'true', stderr: '' });
  });

  it('are one core to all of them', async () => {
    const lock = await readFile(join(project, 'package-lock.json'), 'utf8');
    const { packages } = JSON.parse(lock) as { packages: Record<string, unknown> };
    const cores = Object.keys(packages).filter((path) => path.endsWith('node_modules/@lowrank/core'));
    expect(cores).toEqual(['node_modules/@lowrank/core']);
  });

  it('bring the lowrank command', async () => {
    const command = join(project, 'node_modules', 'lowrank', 'dist', 'main.js');
    const { code, stdout } = await run(process.execPath, [command, '--help'], { cwd: project, timeout: 60_000 });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('Usage: lowrank') });
  });

  const readme = allPages().filter(({ folder }) => folder === '.');
  const examples = readme.flatMap((page) => page.examples);
  it.each(examples)("run the README's example in line $line", { timeout: 300_000 }, async ({ code, output }) => {
    const { stderr, ...result } = await runTypeScript(code, project);
    expect(result, stderr).toEqual({ code: 0, stdout: output?.trim() ?? result.stdout });
  });
});
