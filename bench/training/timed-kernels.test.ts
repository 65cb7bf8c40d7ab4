import { cpu } from '@lowrank/backend-cpu';
import { expect, it } from 'vitest';
import { timeKernels } from './timed-kernels.ts';

it('every kernel call is counted by its kind, with its bytes and operations, and gives what it gave', async () => {
  await using backend = await cpu({ threads: 1 });
  const times = timeKernels(backend);
  const { kernels } = backend;
  const product = (m: number, n: number, k: number): void => {
    const [a, b] = [kernels.fill(2, m * k, 'f32'), kernels.fill(3, k * n, 'f32')];
    const spec = { batch: 1, m, n, k, transposeA: false, transposeB: true, batchA: true, batchB: true };
    backend.free(kernels.matmul(a, b, spec));
  };
  product(64, 80, 96);
  product(64, 80, 96);
  product(64, 8, 96);
  expect([...times.keys()]).toEqual(['fill', 'matmul, a b^T', 'matmul of low rank, a b^T']);
  const { calls, operations, bytes, seconds } = times.get('matmul, a b^T')!;
  expect({ calls, operations, bytes }).toEqual({
    calls: 2,
    operations: 2 * 2 * 64 * 80 * 96,
    bytes: 2 * 4 * (64 * 96 + 96 * 80 + 64 * 80),
  });
  expect(seconds).toBeGreaterThan(0);
  const x = kernels.fill(2, 3, 'f32');
  const y = kernels.binary('add', x, [3], kernels.fill(1, 1, 'f32'), [1]);
  expect([...(await backend.read(y))]).toEqual([3, 3, 3]);
  expect(times.get('binary add, broadcast')!.calls).toBe(1);
});
