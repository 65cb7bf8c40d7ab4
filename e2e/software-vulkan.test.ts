/** WebGPU on machines without a GPU: what the tests' processes inherit, and what programs call that nobody prepared. */
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/temporary-folder.ts';

const tool = new URL('../scripts/setup/software-vulkan.mjs', import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a module in a process whose environment names no driver but what is given. */
function run(code: string, environment: Record<string, string> = {}): Promise<{ code: number | null; output: string }> {
  const named = new Set(['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'LD_LIBRARY_PATH']);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !named.has(name)));
  return new Promise((resolve) => {
    const args = ['--conditions=@lowrank/source', '--input-type=module', '-e', code];
    const child = spawn(process.execPath, args, { cwd: root, env: { ...env, ...environment }, timeout: 90_000 });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (status) => resolve({ code: status, output: output.trim() }));
  });
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the software device', () => {
  it('is unpacked once into the cache, whole, also by several processes at once', async () => {
    await using folder = await temporaryFolder();
    const code = `
      import { unpackSoftwareVulkan } from ${JSON.stringify(tool.href)};
      console.log(unpackSoftwareVulkan());`;
    const outcomes = await Promise.all([1, 2, 3].map(() => run(code, { LOWRANK_CACHE: folder.file('cache') })));
    expect(new Set(outcomes.map(({ output }) => output)).size).toBe(1);
    const { output } = outcomes[0]!;
    expect(await readdir(folder.file('cache'))).toEqual([basename(output)]);
    expect((await readdir(output)).toSorted()).toEqual([
      'libvk_swiftshader.so',
      'libvulkan.so.1',
      'vk_swiftshader_icd.json',
    ]);
    expect(await run(code, { LOWRANK_CACHE: folder.file('cache') })).toEqual({ code: 0, output: join(output) });
  });

  it('is opened by a process that was started without it', async () => {
    const code = `
      import { preloadSoftwareVulkan } from ${JSON.stringify(tool.href)};
      preloadSoftwareVulkan();
      const { webgpu } = await import('@lowrank/backend-webgpu');
      const backend = await webgpu();
      console.log((await backend.read(backend.kernels.fill(3, 1, 'f32')))[0]);
      await backend.dispose();`;
    expect(await run(code)).toEqual({ code: 0, output: '3' });
  });

  it('gives way to a driver that the user has chosen', async () => {
    const code = `
      import { softwareVulkanEnvironment } from ${JSON.stringify(tool.href)};
      console.log(JSON.stringify(softwareVulkanEnvironment()));`;
    expect(await run(code, { VK_ICD_FILENAMES: '/my/driver.json' })).toEqual({ code: 0, output: '{}' });
  });
});

// Metal and Direct3D are always there.
it.runIf(process.platform === 'linux')('where there is no adapter, webgpu() says what to install', async () => {
  const code = `
    const { webgpu } = await import('@lowrank/backend-webgpu');
    console.log(await webgpu().then(() => 'opened', ({ code, message }) => code + ': ' + message));`;
  const { output } = await run(code, { VK_ICD_FILENAMES: join(root, 'no-driver.json') });
  expect(output).toMatch(/BACKEND_NOT_AVAILABLE: .*driver for Vulkan/);
});
