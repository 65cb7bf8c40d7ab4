/** Backends whose products round their operands: held to bounds of that rounding and to no wider ones. */
import { adapterConformance, backendConformance } from '@lowrank/conformance';
import { describe, expect, it } from 'vitest';
import { operandError } from '../src/backend/product-operands.ts';
import { uniform } from '../src/backend/inputs.ts';
import { collectingRunner } from './support/collecting-runner.ts';
import { roundedProducts, toNearest, towardZero, type RoundedProducts } from './support/rounded-products.ts';
import { twoFactor } from './support/two-factor.ts';

const formats = ['f16', 'bf16'] as const;
const products = ['matmul', 'matmulQuantized'];

type Path = readonly string[];

/** Paths of the tests that fail, of those whose path `chosen` takes; at most one for each of `once`. */
async function failuresOf(
  options: RoundedProducts,
  chosen: (path: Path) => boolean,
  once: readonly string[] = [],
): Promise<Path[]> {
  const { runner, tests } = collectingRunner();
  backendConformance(runner, () => roundedProducts(options));
  const failures: Path[] = [];
  for (const { path, run } of tests) {
    const known = failures.some((failure) => once.some((name) => failure.includes(name) && path.includes(name)));
    if (known || !chosen(path)) continue;
    await run().catch((error: unknown) => failures.push([...path, (error as Error).message]));
  }
  return failures;
}

/** Without the largest cases, which take seconds each. */
const ofProducts = (path: Path): boolean =>
  path.some((name) => products.includes(name)) && !path.at(-1)!.includes('65543');
/** All rules but that of the same bits again, which runs every kernel. */
const ofOthers = (path: Path): boolean =>
  path.some((name) => ['rules', 'as offered', 'composed of primitives'].includes(name)) &&
  !path.at(-1)!.includes('same bits again');

describe.each(formats)('%s', (says) => {
  it('passes a backend that rounds operands to nearest and says so', async () => {
    const failures = await failuresOf({ says, operand: toNearest[says] }, (path) => ofProducts(path) || ofOthers(path));
    // `single` holds float64, and says so in its bytes.
    expect(failures.filter((path) => !path.at(-1)!.includes('1000 elements are 8000 bytes'))).toEqual([]);
  });

  it('passes one that says so and rounds nothing', async () => {
    expect(await failuresOf({ says, operand: (x) => x }, ofProducts)).toEqual([]);
  });

  const wrong: readonly [string, RoundedProducts][] = [
    ['does not say so', { says: undefined, operand: toNearest[says] }],
    ['truncates', { says, operand: towardZero[says] }],
    ['rounds the sums as well', { says, operand: toNearest[says], sum: toNearest[says] }],
    ['rounds the sums alone', { says, operand: (x) => x, sum: toNearest[says] }],
  ];
  it.each(wrong)('fails one that %s, in both products', async (_, options) => {
    const failures = await failuresOf(options, ofProducts, products);
    for (const kernel of products) expect(failures.some((path) => path.includes(kernel))).toBe(true);
  });

  adapterConformance(
    { describe, it },
    {
      adapter: twoFactor,
      configs: { plain: { config: {} } },
      backends: { 'rounded products': () => roundedProducts({ says, operand: toNearest[says] }) },
    },
  );
});

it('fails one that rounds to bf16 and says f16, in both products', async () => {
  const failures = await failuresOf({ says: 'f16', operand: toNearest.bf16 }, ofProducts, products);
  for (const kernel of products) expect(failures.some((path) => path.includes(kernel))).toBe(true);
});

it.each(formats)('refuses operands of an unknown format in the manifest, not %s', async (says) => {
  const rules = (path: Path): boolean => path.includes('says all of what it supports');
  expect(await failuresOf({ says, operand: toNearest[says] }, rules)).toEqual([]);
  expect(await failuresOf({ says: 'f8' as 'f16', operand: toNearest[says] }, rules)).toHaveLength(1);
});

describe('operandError', () => {
  it.each(formats)('is the distance of rounding to nearest: %s', (format) => {
    for (const x of uniform('operand errors', 1000).map((value, i) => value * 2 ** ((i % 20) - 6))) {
      if (Math.abs(x) < 2 ** -14) continue;
      expect(operandError(format, x)).toBe(Math.abs(toNearest[format](x) - x));
    }
  });

  it.each(formats)('bounds what is made of a number that is itself off: %s', (format) => {
    const errors = uniform('errors', 1000);
    for (const [i, x] of uniform('operands', 1000).entries()) {
      const error = 2 ** -(i % 30);
      const got = toNearest[format](Math.fround(x + errors[i]! * error));
      expect(Math.abs(got - x)).toBeLessThanOrEqual(operandError(format, x, error) + 2 ** -24);
    }
  });

  it('takes a half that may be flushed for lost, and leaves open what becomes infinite', () => {
    expect(operandError('f16', 2 ** -14)).toBe(0);
    expect(operandError('f16', -3e-5)).toBe(3e-5);
    expect(operandError('bf16', 2 ** -20)).toBe(0);
    expect(operandError('f16', 65_504)).toBe(0);
    expect(operandError('f16', 65_504, 1)).toBe(Infinity);
    expect(operandError('f16', -1e5)).toBe(Infinity);
    expect(operandError('f16', 0)).toBe(0);
    expect(operandError('f16', Infinity)).toBe(0);
  });
});
