import { cpu } from '@lowrank/backend-cpu';
import { expect, it } from 'vitest';
import { experiment } from './experiment.ts';

it('LoRA and DoRA learn on from the base, with a twentieth of its parameters, and merged they answer alike', async () => {
  const backend = await cpu();
  const rows = await experiment(backend, { baseEpochs: 2, extraEpochs: 2, seed: 0 });
  const [base, control, lora, dora] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0], (typeof rows)[0]];

  expect(rows.map(({ name }) => name)).toEqual(['base', 'control', 'LoRA', 'DoRA']);
  // 4 (784 + 128) + 4 (128 + 256) + 4 (256 + 10), and for DoRA a magnitude for each of 128 + 256 + 10 rows.
  expect([lora.trainable, dora.trainable]).toEqual([6248, 6248 + 394]);
  expect(base.trainable).toBe(784 * 128 + 128 + 128 * 256 + 256 + 256 * 10 + 10);
  for (const adapted of [control, lora, dora]) {
    expect(adapted.loss).toBeLessThan(base.loss);
    expect(adapted.accuracy).toBeGreaterThan(base.accuracy);
  }
  // Rounding may turn a digit whose two best answers are level, no more.
  for (const { accuracy, merged } of [lora, dora]) expect(Math.abs(merged! - accuracy)).toBeLessThanOrEqual(2 / 2000);
  expect(backend.memory().liveBytes).toBe(0);
  await backend.dispose();
});
