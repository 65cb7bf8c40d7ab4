import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmCommand } from '../setup/npm.mjs';
import { SetupError, node } from '../setup/stage.mjs';
import { buildAddon } from './build-addon.mjs';
import { folder, recipe, tfjsNode } from './place.mjs';
import { run } from './run.mjs';

/** npm, on a slow line. */
const PACKAGES_MILLISECONDS = 10 * 60_000;
/** Its own install, which loads a hundred megabytes: a line that is down is noticed at once, one that hangs by this. */
const OWN_INSTALL_MILLISECONDS = 5 * 60_000;

const packagesStamp = join(folder, 'packages-installed');
const stamp = join(folder, 'works');

/** Computes 2 x 3 through the addon, without tfjs-node's JavaScript. */
const trial = `
const { createRequire } = require('node:module');
const manifest = process.argv[1];
const local = createRequire(manifest);
const binding = local(local('@mapbox/node-pre-gyp').find(manifest));
const id = (value) => binding.createTensor([1], binding.TF_FLOAT, Float32Array.of(value));
const [result] = binding.executeOp('Mul', [{ name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT }], [id(2), id(3)], 1);
if (binding.tensorDataSync(result.id)[0] !== 6) throw new Error('2 x 3 is not 6');
`;

/** Whether all is there, as a run before this one found out. */
export function isInstalled() {
  return existsSync(stamp);
}

/**
 * Installs tfjs-node in the cache: its own install where it can download libtensorflow, else its addon is compiled against
 * the TensorFlow that PyPI has. Goes on where an interrupted run stopped, and does nothing where all is there.
 *
 * @param {(message: string) => void} report
 */
export async function installTfjsNode(report) {
  if (isInstalled()) return;
  mkdirSync(folder, { recursive: true });
  await installPackages(report);
  if (!(await works()).ok) {
    report("tfjs-node's own install, which downloads libtensorflow");
    const own = await ownInstall();
    if (!own.ok) {
      report(`that did not work (${lastLine(own.output)}); compiling its addon instead`);
      await buildAddon(report);
    }
  }
  const { ok, output } = await works();
  if (!ok) {
    throw new SetupError(`tfjs-node does not run\n${output}`, `Delete ${folder} and run npm run tfjs-node again.`);
  }
  writeFileSync(stamp, '');
}

/** @param {(message: string) => void} report */
async function installPackages(report) {
  if (existsSync(packagesStamp)) return;
  report('npm packages');
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
    copyFileSync(join(recipe, file), join(folder, file));
  }
  const [file, ...first] = npmCommand();
  const args = [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { ok, output } = await run(file, args, { cwd: folder, milliseconds: PACKAGES_MILLISECONDS });
  if (!ok) {
    const advice = 'Check that the package registry can be reached, then run npm run tfjs-node again.';
    throw new SetupError(`npm ci of tfjs-node failed\n${output}`, advice);
  }
  writeFileSync(packagesStamp, '');
}

/** What `npm install` would have run. */
async function ownInstall() {
  const manifest = join(tfjsNode, 'package.json');
  const before = readFileSync(manifest);
  const bin = join(folder, 'node_modules', '.bin');
  const delimiter = process.platform === 'win32' ? ';' : ':';
  const env = { ...process.env, PATH: [bin, process.env['PATH']].join(delimiter) };
  const args = [join('scripts', 'install.js')];
  const result = await run(node(), args, { cwd: tfjsNode, milliseconds: OWN_INSTALL_MILLISECONDS, env });
  // It rewrites the manifest while it runs.
  writeFileSync(manifest, before);
  return result;
}

function works() {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' };
  const args = ['-e', trial, join(tfjsNode, 'package.json')];
  return run(node(), args, { cwd: folder, milliseconds: 60_000, env });
}

/** @param {string} output */
function lastLine(output) {
  return output.match(/^(?:\w*Error: .*|stopped after .*)$/m)?.[0] ?? output.split('\n').at(-1) ?? '';
}
