/**
 * What the npm package `@sparticuz/chromium` carries, unpacked into the cache folder: a headless Chromium for x64 Linux, its
 * software Vulkan device, and the libraries that a bare system lacks.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { root } from './stage.mjs';

const manifest = join(root, 'node_modules', '@sparticuz', 'chromium', 'package.json');

/** Whether it is installed and of use on this machine. */
export function chromiumPackageFits() {
  return process.platform === 'linux' && process.arch === 'x64' && existsSync(manifest);
}

/**
 * The folder `name` of this version in the cache, filled now if it was not: whole or not at all, into a folder beside it,
 * which then takes the name. Of two processes that do so at once either may win.
 *
 * @param {string} name
 * @param {(folder: string) => void} fill throws where something is missing
 * @returns {string}
 */
export function unpackOnce(name, fill) {
  const folder = join(cacheFolder(), `${name}-${chromiumVersion()}`);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    fill(partial);
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** @returns {string} */
export function chromiumVersion() {
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}

/**
 * One of its files, decompressed.
 *
 * @param {string} name `chromium.br`
 */
export function unpacked(name) {
  return brotliDecompressSync(readFileSync(join(dirname(manifest), 'bin', name)));
}

/**
 * The files of a tar archive: 512-byte headers with the name at 0 and the size in octal digits at 124, each followed by
 * its content, padded to 512.
 *
 * @param {Buffer} archive
 * @returns {Generator<[name: string, content: Buffer]>}
 */
export function* entries(archive) {
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const name = archive.toString('latin1', at, archive.indexOf(0, at));
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 136), 8);
    yield [name.slice(0, 100), archive.subarray(at + 512, at + 512 + size)];
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

/** The project's cache folder, where downloaded models lie as well. */
function cacheFolder() {
  return process.env['LOWRANK_CACHE'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'lowrank');
}
