import { expect, test } from 'vitest';
import { describeCall } from '../src/device/describe-call.ts';

const storage = (length: number): object => ({ dtype: 'f32', length, byteLength: 4 * length });

test('a call is told with its shapes and numbers', () => {
  expect(describeCall('adamw', [[{ parameter: storage(6), at: 0 }], storage(12), { learningRate: 0.1 }])).toBe(
    'adamw([{ parameter: f32[6], at: 0 }], f32[12], { learningRate: 0.1 })',
  );
});

test('of hundreds of operands the first are told, and how many there are', () => {
  const told = describeCall('sumOfSquares', [Array.from({ length: 420 }, () => storage(8))]);
  expect(told).toBe(`sumOfSquares([${'f32[8], '.repeat(16)}... (420 in all)])`);
});
