import { cpu } from '@lowrank/backend-cpu';
import { expect, it } from 'vitest';
import { doraWalk } from './dora.ts';
import { loraWalk } from './lora.ts';

it('every function of both modules does what the walk says of it, and nothing is left behind', async () => {
  const backend = await cpu();
  const lines: string[] = [];
  for (const walk of [loraWalk, doraWalk]) for await (const line of walk(backend)) lines.push(line);
  for (const name of ['build', 'output_size', 'lora_delta', 'wrap']) {
    expect(lines.some((line) => line.startsWith(`LoRA.${name} `))).toBe(true);
  }
  for (const name of ['recommended_defaults', 'build', 'output_size', 'wrap', 'dora_layer']) {
    expect(lines.some((line) => line.startsWith(`DoRA.${name} `))).toBe(true);
  }
  expect(lines.filter((line) => line.includes('false'))).toEqual([]);
  // 768 products and sums in f32, against the same in another order.
  const merged = lines.find((line) => line.includes('merged'))!;
  expect(Number(/[\de.-]+$/.exec(merged)![0])).toBeLessThan(1e-4);
  expect(backend.memory().liveBytes).toBe(0);
  await backend.dispose();
});
