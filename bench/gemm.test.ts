import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { median } from './report.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

const machine = expect.stringMatching(/Node \d/) as string;

const spread = [expect.any(Number) as number, expect.any(Number) as number];

function bench(...args: string[]) {
  return spawnSync(process.execPath, ['--conditions=@lowrank/source', main, ...args], { encoding: 'utf8' });
}

it('gemm --json prints one figure a line: the peak, then each product as a part of it', () => {
  const { status, stdout } = bench(
    'gemm',
    '--json',
    '--engines',
    'wasm',
    '--threads',
    '1',
    '--rounds',
    '1',
    '--peers',
    'none',
    '--filter',
    'lora x',
  );
  expect(status).toBe(0);
  const figures = stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  const subject = expect.stringMatching(/^wasm \w+, 1 thread$/) as string;
  const common = { name: 'gemm', subject, unit: 'GFLOP/s', value: expect.any(Number) as number, spread, machine };
  expect(figures).toEqual([
    { ...common, case: 'multiply-add peak', ratio: null },
    { ...common, case: 'lora x A^T 1024x8x576', ratio: expect.any(Number) as number },
  ]);
});

it('gemm --backend webgpu counts the dispatches of a product beside its speed', () => {
  const { status, stdout } = bench('gemm', '--backend', 'webgpu', '--json', '--filter', 'token f32');
  expect(status).toBe(0);
  const figures = stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  const common = { name: 'gemm', subject: expect.stringMatching(/^webgpu, ./) as string, ratio: null, machine };
  const name = 'token f32 1x1536x576';
  expect(figures).toEqual([
    { ...common, case: name, unit: 'GFLOP/s', value: expect.any(Number) as number },
    { ...common, case: `${name}, dispatches`, unit: '', value: 1 },
  ]);
});

it.each([
  ['no benchmark', []],
  ['an unknown one', ['nothing']],
  ['an unknown option', ['gemm', '--fast']],
  ['an unknown engine', ['gemm', '--engines', 'gpu']],
  ['an unknown peer', ['gemm', '--peers', 'blas']],
  ['a page of no run', ['page']],
  ['an unknown backend', ['gemm', '--backend', 'gpu']],
  ['a backend that a benchmark does not run on', ['train', '--backend', 'tfjs']],
  ['no number of tokens', ['train', '--backend', 'webgpu', '--tokens', '0']],
  ['no number of threads', ['gemm', '--threads', 'all']],
])('%s is a usage error with exit code 2', (_, args) => {
  const { status, stderr } = bench(...args);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^bench: /);
});

it('the median of an even number of values is the mean of the middle two', () => {
  expect(median([5, 1, 2, 10])).toBe(3.5);
  expect(median([3, 1, 2])).toBe(2);
});
