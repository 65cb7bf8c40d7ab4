import type { Storage } from '@lowrank/core';
import type { TfjsBackend } from '@lowrank/backend-tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines, start } from './engines.ts';

describe.each(engines)('memory of %s', (engine) => {
  let backend: TfjsBackend;
  beforeAll(async () => {
    backend = await start(engine);
  });
  afterAll(() => backend.dispose());

  /** A tensor of the engine for each storage, or one that several share: what kernels make on their way is gone. */
  const expectNothingElse = (): void =>
    expect(backend.tensorCount()).toBeLessThanOrEqual(backend.memory().liveStorages);

  it('holds no more tensors than storages after every kernel, and none in the end', () => {
    const { kernels } = backend;
    const held: Storage[] = [];
    const keep = (storage: Storage): Storage => {
      held.push(storage);
      expectNothingElse();
      return storage;
    };
    const x = keep(
      backend.upload(
        Float32Array.from({ length: 60 }, (_, i) => i / 7 - 3),
        'f32',
      ),
    );
    const indices = keep(backend.upload(Int32Array.of(4, 0, 4), 'i32'));
    const column = keep(kernels.slice(x, [5, 12], [0, 3], [5, 1]));
    for (const op of ['sign', 'tanh', 'reciprocal'] as const) keep(kernels.unary(op, x, 60));
    for (const op of ['add', 'max', 'less'] as const) keep(kernels.binary(op, x, [5, 12], column, [5, 1]));
    keep(kernels.where(column, [5, 1], x, [5, 12], column, [5, 1], [5, 12]));
    for (const op of ['sum', 'max', 'min'] as const) keep(kernels.reduce(op, x, 5, 4, 3));
    const flags = { transposeA: true, transposeB: false, batchA: true, batchB: true };
    keep(kernels.matmul(x, x, { batch: 2, m: 5, n: 5, k: 6, ...flags }));
    keep(kernels.permute(x, [5, 1, 12], [2, 1, 0]));
    keep(kernels.permute(x, [5, 12], [0, 1]));
    const rows = keep(kernels.gather(x, 5, 12, indices, 3));
    keep(kernels.scatterAdd(rows, indices, 3, 5, 12));
    keep(kernels.concat([x, rows], 1, [5, 3], 12));
    for (const to of ['i32', 'f32'] as const) keep(kernels.cast(x, 60, to));
    kernels.accumulate(x, x, 60);
    kernels.writeSlice(x, [5, 12], column, [0, 2], [5, 1]);
    kernels.writeSlice(x, [60], x, [0], [60]);
    expectNothingElse();
    for (const storage of held) backend.free(storage);
    expect(backend.tensorCount()).toBe(0);
  });

  it('loses nothing where a kernel fails', () => {
    const { kernels } = backend;
    const table = backend.upload(new Float32Array(15), 'f32');
    const indices = backend.upload(Int32Array.of(0, 7), 'i32');
    expect(() => kernels.gather(table, 5, 3, indices, 2)).toThrow(
      expect.objectContaining({
        code: 'BACKEND_KERNEL',
        kernel: 'gather',
        message: expect.stringContaining('gather(f32[15], 5, 3, i32[2], 2)') as unknown,
      }),
    );
    expectNothingElse();
    backend.free(table);
    backend.free(indices);
  });

  it('keeps what is being read, though it is freed or replaced', async () => {
    const { kernels } = backend;
    const x = kernels.fill(1, 5000, 'f32');
    const reads = [backend.read(x)];
    kernels.accumulate(x, x, 5000);
    reads.push(backend.read(x));
    backend.free(x);
    const values = await Promise.all(reads);
    expect(values.map((read) => [read.length, read[0], read[4999]])).toEqual([
      [5000, 1, 1],
      [5000, 2, 2],
    ]);
    expect(backend.tensorCount()).toBe(0);
  });

  it('belongs to one backend', async () => {
    const other = await start(engine);
    const x = backend.upload(Float32Array.of(1), 'f32');
    expect(() => other.kernels.unary('neg', x, 1)).toThrow(expect.objectContaining({ code: 'BACKEND_ARGUMENT' }));
    backend.free(x);
    await other.dispose();
  });

  it('refuses storage beyond its limit before it is made', () => {
    const error: unknown = expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'binary' });
    const long = backend.kernels.fill(0, 2 ** 17, 'f32');
    expect(() => backend.kernels.binary('add', long, [2 ** 17, 1], long, [1, 2 ** 17])).toThrow(error);
    backend.free(long);
    expectNothingElse();
  });
});
