// The packages as a stranger gets them: built, packed, and installed into empty projects outside of the repository.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishedPackages } from '../../scripts/check/packages.mjs';
import { makeProject, packPackages, runNpm } from './packed-packages.ts';
import { allPages, root } from './pages.ts';
import { printedByPage } from './run-page.ts';
import { run, runTypeScript } from './run.ts';
import { buildWithVite } from './vite-project.ts';
import type { ViteBuild } from './vite-project.ts';

let folder: string;
let tarballs: ReadonlyMap<string, string>;
const names = publishedPackages().map(({ name }) => name);
const examplesOf = (page: string) => allPages().find((row) => row.folder === page)!.examples;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-packed-'));
  tarballs = await packPackages(join(folder, 'tarballs'));
}, 600_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the packed packages', () => {
  let project: string;

  beforeAll(async () => {
    project = join(folder, 'all');
    await makeProject(project, [...tarballs.values()]);
  }, 300_000);

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

  it.each(examplesOf('.'))("run the README's example in line $line", { timeout: 300_000 }, async ({ code, output }) => {
    const { stderr, ...result } = await runTypeScript(code, project);
    expect(result, stderr).toEqual({ code: 0, stdout: output?.trim() ?? result.stdout });
  });
});

/**
 * Core, one adapter, one backend, and what else its README says to install for Node. `sameBits`: with shared memory it computes
 * in the browser as in Node, to the bit.
 */
const selections = [
  { backend: 'backend-cpu', make: 'cpu', forNode: [], sameBits: true },
  { backend: 'backend-webgpu', make: 'webgpu', forNode: ['webgpu'], sameBits: false },
];

/** Of what the example prints a tenth is more than any backend's rounding, and less than any mistake. */
const rounded = (text: string): string =>
  text.replaceAll(/-?\d+(\.\d+)?(e[+-]\d+)?(?![\d)])/g, (value) => `${Math.round(Number(value) * 10) / 10 + 0}`);

describe.each(selections)('core, adapter-lora and $backend alone', ({ backend, make, forNode, sameBits }) => {
  // The first of adapter-lora's README: a layer is taught, merged, and given back.
  const example = examplesOf('packages/adapter-lora')[0]!;
  const code = example.code.replace('@lowrank/backend-cpu', `@lowrank/${backend}`).replaceAll(/\bcpu\b/g, make);
  let project: string;
  let inNode: string;
  let vite: ViteBuild;

  beforeAll(async () => {
    project = join(folder, backend);
    const ours = ['core', 'adapter-lora', backend].map((name) => tarballs.get(`@lowrank/${name}`)!);
    await makeProject(project, [...ours, ...(await Promise.all(forNode.map(withVersion)))]);
    vite = await buildWithVite(project, code);
  }, 300_000);

  it('are one core, and no other package of ours', async () => {
    const { code: exit, stdout } = await runNpm(['ls', '--all', '--parseable'], project);
    expect(exit).toBe(0);
    const ours = stdout.split('\n').flatMap((line) => /node_modules[/\\]@lowrank[/\\](.*)$/.exec(line)?.[1] ?? []);
    expect(ours.toSorted()).toEqual(['adapter-lora', backend, 'core'].toSorted());
  });

  it("run the README's example in Node", { timeout: 300_000 }, async () => {
    const { code: exit, stdout, stderr } = await runTypeScript(code, project);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    inNode = stdout;
    expect(rounded(stdout)).toBe(
      ['live   Float32Array(2) [ 0, 0 ]', 'merged Float32Array(2) [ 0, 0 ]', 'base   Float32Array(2) [ 6, 15 ]'].join(
        '\n',
      ),
    );
  });

  it('are bundled by Vite without configuration and without a warning', () => {
    const { code: exit, stdout, stderr } = vite;
    // Warnings go to stderr.
    expect({ exit, stderr }, stdout).toEqual({ exit: 0, stderr: '' });
    const texts = Array.from(vite.files.values(), (content) => new TextDecoder().decode(content));
    // Neither Node's modules nor Vite's stand-ins for them.
    const leaks = texts.flatMap(
      (text) => text.match(/(?:from|import\(?)\s*["'`]node:[^"'`]*|__vite-browser-external/g) ?? [],
    );
    expect(leaks).toEqual([]);
  });

  it.each([true, false])('run it in a browser; cross-origin isolated: %s', { timeout: 300_000 }, async (isolated) => {
    const printed = await printedByPage(vite.files, isolated, 3);
    const [here, there] = sameBits && isolated ? [printed, inNode] : [rounded(printed), rounded(inNode)];
    expect(here).toBe(there);
  });
});

/** A package of the registry in the version that the repository has. */
async function withVersion(name: string): Promise<string> {
  const manifest = await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8');
  return `${name}@${(JSON.parse(manifest) as { version: string }).version}`;
}
