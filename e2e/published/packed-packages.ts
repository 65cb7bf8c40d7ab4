import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { packAll } from '../../scripts/check/pack.mjs';
import { publishedPackages } from '../../scripts/check/packages.mjs';
import { npmCommand } from '../../scripts/setup/npm.mjs';
import { root } from './pages.ts';
import { run } from './run.ts';
import type { Outcome } from './run.ts';

/** Builds all packages and packs them into `folder`: each package's tarball by the package's name. */
export async function packPackages(folder: string): Promise<ReadonlyMap<string, string>> {
  const turbo = join(root, 'node_modules', '.bin', 'turbo');
  const build = await run(process.execPath, [turbo, 'run', 'build', '--output-logs=errors-only'], {
    cwd: root,
    timeout: 300_000,
  });
  expect(build, build.stdout).toMatchObject({ code: 0 });
  await mkdir(folder);
  const files = await packAll(folder);
  const tarballs = publishedPackages().map(({ name }): [string, string] => {
    const prefix = `${name.replace('@', '').replace('/', '-')}-`;
    const own = files.filter((file) => file.slice(folder.length + 1).match(/^(.*-)\d/)?.[1] === prefix);
    expect(own, name).toHaveLength(1);
    return [name, own[0]!];
  });
  expect(tarballs).toHaveLength(files.length);
  return new Map(tarballs);
}

/** An empty project with these packages installed: tarballs, or names with versions. */
export async function makeProject(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const install = await runNpm(['install', ...flags, ...packages], folder);
  expect(install, install.stderr).toMatchObject({ code: 0 });
}

export function runNpm(args: readonly string[], folder: string): Promise<Outcome> {
  const [npm, ...npmArgs] = npmCommand();
  return run(npm, [...npmArgs, ...args], { cwd: folder, timeout: 300_000 });
}
