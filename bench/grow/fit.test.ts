import { expect, it } from 'vitest';
import { exponent, quadraticTerm } from './fit.ts';

const sizes = [128, 256, 512, 1024, 2048, 4096];

it.each([0.5, 1, 1.7, 2])('the exponent of 3 x^%d is found', (p) => {
  expect(exponent(sizes.map((x) => [x, 3 * x ** p]))).toBeCloseTo(p, 10);
});

it('one size has no exponent', () => {
  expect(exponent([[128, 1]])).toBeUndefined();
});

it('linear and quadratic term are told apart', () => {
  const { a, b } = quadraticTerm(sizes.map((x) => [x, 0.01 * x + 2e-6 * x * x]));
  expect(a).toBeCloseTo(0.01, 10);
  expect(b).toBeCloseTo(2e-6, 12);
});

it('what grows less than linearly has no quadratic term', () => {
  expect(quadraticTerm(sizes.map((x) => [x, Math.sqrt(x)])).b).toBe(0);
});
