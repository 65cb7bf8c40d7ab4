import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from './npm.mjs';
import { SetupError, root } from './stage.mjs';

const lockfile = join(root, 'package-lock.json');
const installed = join(root, 'node_modules', '.package-lock.json');
const stampFile = join(root, 'node_modules', '.lowrank-setup');

/**
 * Whether node_modules is what package-lock.json asks for. The stamp is written last, so an interrupted install has
 * none; an install by hand (`npm install`) has none either and is recognised by npm's own record.
 *
 * @returns {boolean}
 */
export function packagesAreInstalled() {
  const stamp = currentStamp();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return true;
  if (!installedByHand()) return false;
  writeFileSync(stampFile, stamp);
  return true;
}

/** `npm ci`, and the stamp after it. */
export async function installPackages() {
  const { code, output } = await npm(['ci', '--ignore-scripts=false', '--no-audit', '--no-fund', '--loglevel=error']);
  if (code !== 0) throw new SetupError(`npm ci failed\n${essence(output)}`, adviceFor(code, output));
  writeFileSync(stampFile, currentStamp());
}

/**
 * npm's error without the manual page that it prints after some.
 *
 * @param {string} output
 */
function essence(output) {
  return output.replace(/^npm error Clean install a project[^]*?(?=^npm error A complete log|$(?![^]))/m, '').trim();
}

/**
 * @param {number} code
 * @param {string} output
 */
function adviceFor(code, output) {
  if (/EUSAGE/.test(output)) {
    return 'package.json and package-lock.json disagree: run npm install, then node scripts/lockfile/complete.mjs.';
  }
  if (code === 127) return 'npm was not found: install Node together with npm.';
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/.test(output)) {
    return 'The package registry was not reached: check the network or the proxy, then run the same command again.';
  }
  if (/ENOSPC/.test(output)) return 'The disk is full: the packages take about 1 GB.';
  if (/EACCES|EPERM|EROFS/.test(output)) return 'node_modules cannot be written: check who owns the folder.';
  return 'Run the same command again; if it fails the same way, delete node_modules first.';
}

function currentStamp() {
  const hash = createHash('sha256').update(readFileSync(lockfile)).digest('hex');
  return `${hash} ${process.platform} ${process.arch}\n`;
}

/**
 * Whether npm's record of node_modules, which it writes at the end of an install, has all of the lockfile.
 *
 * @returns {boolean}
 */
function installedByHand() {
  if (!existsSync(installed)) return false;
  const wanted = packagesOf(lockfile);
  const present = packagesOf(installed);
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true;
    const found = present[path];
    if (!found) return entry.optional === true || entry.peer === true;
    return found.link === entry.link && found.version === entry.version && found.integrity === entry.integrity;
  });
}

/**
 * @param {string} file
 * @returns {Record<string, { version?: string, integrity?: string, link?: boolean, optional?: boolean, peer?: boolean }>}
 */
function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
  } catch {
    return {};
  }
}
