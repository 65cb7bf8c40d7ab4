/** What lowrank costs before it computes: bytes on the disk, bytes of a bundle, the time of an import; beside its peers. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { packAll } from '../../scripts/check/pack.mjs';
import { npmCommand } from '../../scripts/setup/npm.mjs';
import { root } from '../../scripts/setup/stage.mjs';
import { npmPeers } from '../peers/npm/install.ts';
import { run } from '../process/run.ts';
import { print, summary, type Figure } from '../report.ts';

export interface SizeOptions {
  /** Imports of each subject, a process each. */
  readonly rounds: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** What a program imports, and what it installs for that. */
interface Selection {
  readonly subject: string;
  readonly packages: readonly string[];
  /** Whether a page can use it: then it has a bundle. WebAssembly that lies beside the bundle is not counted. */
  readonly browser: boolean;
}

const selections: readonly Selection[] = [
  {
    subject: 'core, cpu and lora',
    packages: ['@lowrank/core', '@lowrank/backend-cpu', '@lowrank/adapter-lora'],
    browser: true,
  },
  { subject: 'lowrank, all of it', packages: ['lowrank'], browser: false },
];

const peers: readonly Selection[] = [
  { subject: 'onnxruntime-node', packages: ['onnxruntime-node'], browser: false },
  { subject: 'onnxruntime-web', packages: ['onnxruntime-web'], browser: true },
  {
    subject: 'TensorFlow.js (WASM)',
    packages: ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm'],
    browser: true,
  },
  { subject: 'jax-js', packages: ['@jax-js/jax'], browser: true },
];

export async function size({ rounds, peers: withPeers, json }: SizeOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lowrank-size-'));
  try {
    await build();
    const packed = join(folder, 'packed');
    const tarballs = await tarballsByName(packed);
    for (const selection of selections) {
      const place = await install(join(folder, selection.subject), selection, tarballs);
      const files = await filesBelow(join(place, 'node_modules'));
      const own = files.filter(({ path }) => isOwn(path));
      const figures = [
        ...(await costs(place, selection, rounds)),
        bytesFigure(selection, 'installed', sum(files)),
        bytesFigure(selection, 'installed, its own files', sum(own)),
        bytesFigure(
          selection,
          'installed, its own files without native addons',
          sum(own.filter(({ path }) => !path.endsWith('.node'))),
        ),
      ];
      print(figures, json);
    }
    if (!withPeers) return;
    const place = await npmPeers();
    for (const peer of peers) {
      const folders = peer.packages.map((name) => join(place, 'node_modules', name));
      const files = (await Promise.all(folders.map(filesBelow))).flat();
      print([...(await costs(place, peer, rounds)), bytesFigure(peer, 'installed, its own files', sum(files))], json);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Packages are packed from their `dist`, with the addons of all platforms: as they are published. */
async function build(): Promise<void> {
  const addons = join(root, 'packages', 'backend-cpu', 'scripts', 'build-kernels.mjs');
  await run(process.execPath, [addons, '--all'], { cwd: root, minutes: 10 });
  const turbo = join(root, 'node_modules', '.bin', 'turbo');
  await run(turbo, ['run', 'build', '--output-logs=errors-only'], { cwd: root, minutes: 10 });
}

async function tarballsByName(folder: string): Promise<Map<string, string>> {
  await mkdir(folder);
  const byName = new Map<string, string>();
  for (const file of await packAll(folder)) {
    // lowrank-backend-cpu-0.0.0.tgz, lowrank-0.0.0.tgz
    const name = /([^/\\]+?)-\d+\.\d+\.\d+[^/\\]*\.tgz$/.exec(file)?.[1];
    if (name === undefined) throw new Error(`the name of ${file} is not that of a package`);
    byName.set(name.startsWith('lowrank-') ? name.replace('lowrank-', '@lowrank/') : name, file);
  }
  return byName;
}

/** As a user does, but that our packages come from here. */
async function install(folder: string, { packages }: Selection, tarballs: Map<string, string>): Promise<string> {
  await mkdir(folder);
  const files = Object.fromEntries([...tarballs].map(([name, file]) => [name, `file:${file}`]));
  const dependencies = Object.fromEntries(packages.map((name) => [name, files[name]!]));
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', private: true, dependencies, overrides: withoutDirect(files, packages) }),
  );
  const [file, ...first] = npmCommand();
  const args = [...first, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await run(file, args, { cwd: folder, minutes: 10 });
  return folder;
}

/** npm refuses to override what is asked for by the same name. */
function withoutDirect(files: Record<string, string>, packages: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !packages.includes(name)));
}

async function costs(place: string, selection: Selection, rounds: number): Promise<Figure[]> {
  const entry = join(place, `entry-${selection.subject.replaceAll(/\W+/g, '-')}.mjs`);
  await writeFile(entry, selection.packages.map((name, i) => `export * as part${i} from '${name}';`).join('\n'));
  const common = { name: 'size', subject: selection.subject, ratio: null };
  const times: number[] = [];
  const timer = `const begin = performance.now(); await import(process.argv[1]); process.stdout.write(String(performance.now() - begin)); process.exit(0);`;
  try {
    for (let round = 0; round < rounds; round++) {
      const output = await run(process.execPath, ['--input-type=module', '-e', timer, entry], {
        cwd: place,
        minutes: 2,
      });
      times.push(Number(/[\d.]+$/.exec(output)![0]));
    }
    const bundle = selection.browser ? await bundled(entry) : undefined;
    return [
      { ...common, case: 'import', ...summary(times), unit: 'ms' },
      ...(bundle === undefined
        ? []
        : [{ ...common, case: 'bundle for browsers, gzipped', value: bundle / 1000, unit: 'kB' }]),
    ];
  } finally {
    await rm(entry);
  }
}

/** Bytes of all chunks, minified and gzipped. */
async function bundled(entry: string): Promise<number> {
  const bundle = await rolldown({
    input: entry,
    platform: 'browser',
    logLevel: 'silent',
    external: [/^node:/, ...builtinModules],
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const chunks = output.filter((part) => part.type === 'chunk');
  return chunks.reduce((total, { code }) => total + gzipSync(code).length, 0);
}

function bytesFigure({ subject }: Selection, name: string, bytes: number): Figure {
  return { name: 'size', case: name, subject, value: bytes / 1000, unit: 'kB', ratio: null };
}

function isOwn(path: string): boolean {
  return /[/\\]node_modules[/\\](?:@lowrank|lowrank)[/\\]/.test(path);
}

function sum(files: readonly { bytes: number }[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0);
}

async function filesBelow(folder: string): Promise<{ path: string; bytes: number }[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(await realpath(folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (path) => ({ path, bytes: (await stat(path)).size })));
}
