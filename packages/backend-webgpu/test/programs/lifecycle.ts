/** What lifecycle.test.ts runs in a process of its own: `lifecycle.ts <mode>`. */
import type { BackendError } from '@lowrank/core';
import { webgpu } from '@lowrank/backend-webgpu';

const [mode] = process.argv.slice(2);
const backend = await webgpu();
const length = 1 << 16;
const x = backend.kernels.fill(1, length, 'f32');
for (let i = 0; i < 15; i++) backend.kernels.accumulate(x, x, length);

if (mode === 'read') {
  const values = await backend.read(x);
  console.log(values.at(-1));
} else if (mode === 'queued') {
  console.log('queued');
} else if (mode === 'exit') {
  void backend.read(x);
  console.log('leaving');
  // oxlint-disable-next-line unicorn/no-process-exit -- what is tested
  process.exit(0);
} else {
  for (let i = 0; i < 300; i++) backend.kernels.accumulate(x, x, length);
  const reading = backend.read(x).catch((error: unknown) => (error as BackendError).code);
  await backend.dispose();
  console.log(await reading);
}
