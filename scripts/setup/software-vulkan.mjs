/**
 * WebGPU where there is no GPU: SwiftShader, a Vulkan device in software, out of the npm package `@sparticuz/chromium`, unpacked once
 * into the cache folder. Dawn (npm `webgpu`) finds it by two environment variables that must be set before a process
 * starts; `preloadSoftwareVulkan` does without.
 *
 * Only for x64 Linux: macOS and Windows bring a driver of their own (Metal, Direct3D).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { chromiumPackageFits, chromiumVersion, entries, unpacked, unpackOnce } from './chromium-package.mjs';

const files = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];

/**
 * The folder with SwiftShader in it, unpacked now if it was not; undefined where this machine has no use for it.
 *
 * @returns {string | undefined}
 */
export function unpackSoftwareVulkan() {
  if (!chromiumPackageFits()) return undefined;
  return unpackOnce('swiftshader', (folder) => {
    for (const [name, content] of entries(unpacked('swiftshader.tar.br'))) {
      if (files.includes(basename(name))) writeFileSync(join(folder, basename(name)), content);
    }
    const missing = files.filter((name) => !existsSync(join(folder, name)));
    if (missing.length > 0) throw new Error(`@sparticuz/chromium ${chromiumVersion()} has no ${missing.join(', ')}`);
  });
}

/**
 * The environment that a child process needs so that Dawn opens the software device; nothing where the machine has a GPU
 * that Dawn opens, or where the user has chosen a driver.
 *
 * @returns {Record<string, string>}
 */
export function softwareVulkanEnvironment() {
  if (driverIsChosen() || hasGpu()) return {};
  const folder = unpackSoftwareVulkan();
  if (folder === undefined) return {};
  const libraries = [folder, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':');
  return { VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: libraries };
}

/**
 * Makes Dawn open the software device in this very process: the loader that is already there is the one that
 * `dlopen("libvulkan.so.1")` gives. Call it before Dawn is loaded, and on the main thread, for only there `process.env` is the
 * environment that C sees.
 */
export function preloadSoftwareVulkan() {
  if (driverIsChosen() || hasGpu()) return;
  const folder = unpackSoftwareVulkan();
  if (folder === undefined) return;
  process.env['VK_ICD_FILENAMES'] = join(folder, 'vk_swiftshader_icd.json');
  const keepLoaded = 0x1000; // RTLD_NODELETE: Node closes what is no addon.
  try {
    process.dlopen({ exports: {} }, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('did not self-register'))) throw error;
  }
}

function driverIsChosen() {
  return ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES'].some((name) => (process.env[name] ?? '') !== '');
}

/** Whether Dawn opens a GPU: tried in a child process, and only where the kernel shows one. */
function hasGpu() {
  const shown = ['/dev/nvidiactl', '/dev/dxg'].some((path) => existsSync(path)) || renderNodes().length > 0;
  if (!shown) return false;
  const program = `
    const { create } = await import(${JSON.stringify(createRequire(import.meta.url).resolve('webgpu'))});
    const adapter = await create([]).requestAdapter();
    process.exit(adapter && adapter.info.adapterType !== 'CPU' && !adapter.info.isFallbackAdapter ? 0 : 1);`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 }).status === 0;
}

function renderNodes() {
  return existsSync('/dev/dri') ? readdirSync('/dev/dri').filter((name) => name.startsWith('renderD')) : [];
}
