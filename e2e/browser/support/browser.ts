import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { findChromium } from './chromium.ts';

/** Graphics in software on every machine, so that a run depends on none: Vulkan for WebGPU, and ANGLE upon it for WebGL. */
const args = [
  '--headless=shell',
  // Containers give no namespaces to a sandbox and little shared memory. The pages are our own.
  '--no-sandbox',
  '--no-zygote',
  '--disable-dev-shm-usage',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  // Workgroup memory is else cleared first, for which software takes many times as long as for the programs themselves. They
  // must not rely on it anyhow: Node's device does not clear it either.
  '--enable-dawn-features=disable_workgroup_init',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
];

/** Starts the browser; an error says what to do where it does not start. */
export async function launchBrowser(): Promise<Browser> {
  const found = findChromium();
  try {
    return await chromium.launch({ ...found, args, headless: true, timeout: 60_000 });
  } catch (error) {
    throw new Error(
      `${found.executablePath ?? 'Chrome'} did not start. Put the path of a current Chrome or Chromium into the ` +
        `environment variable LOWRANK_CHROMIUM. ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
