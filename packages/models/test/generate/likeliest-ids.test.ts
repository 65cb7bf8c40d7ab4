import { cpu, type CpuBackend } from '@lowrank/backend-cpu';
import { tensor } from '@lowrank/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { likeliest } from '../../src/generate/index.ts';
import { LikeliestIds } from '../../src/generate/likeliest-ids.ts';

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu({ threads: 2 });
});
afterAll(() => backend.dispose());

const width = 5003;
const cases: [string, (id: number) => number][] = [
  ['numbers of either sign', (id) => Math.sin(id * id)],
  ['many equals', (id) => (id * 7919) % 11],
  ['negative ones alone', (id) => -1 - ((id * 31) % 97)],
  ['zeros of both signs', (id) => (id % 2 === 0 ? -0 : 0)],
  ['some that are excluded', (id) => (id % 3 === 0 ? -Infinity : Math.cos(id))],
  ['nothing but excluded ones', () => -Infinity],
  ['the greatest at the end', (id) => id],
];

it('finds what `likeliest` finds, in each row by itself', async () => {
  const { liveStorages } = backend.memory();
  const ids = new LikeliestIds(backend, width);
  const rows = cases.map(([, value]) => Float32Array.from({ length: width }, (_, id) => value(id)));
  const logits = tensor(backend, Float32Array.from(rows.flatMap((row) => [...row])), [rows.length, width]);
  const found = ids.of(logits);
  const expected = rows.map((row) => likeliest(row));
  expect([...(await found.data())]).toEqual(expected);
  for (const tensorOrIds of [found, logits, ids]) tensorOrIds.dispose();
  expect(backend.memory().liveStorages).toBe(liveStorages);
});
