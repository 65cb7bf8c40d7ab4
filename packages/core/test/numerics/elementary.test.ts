import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cos, cosPi, exp, log, pow, sin, sinPi } from '../../src/numerics/elementary.ts';

/** Rows of arguments, the nearest double to the value, and what is left: from mpmath at 2,400 bits. */
type Fixture = Record<'exp' | 'log' | 'pow' | 'sin' | 'cos' | 'sinPi' | 'cosPi', number[][]>;
const fixture = JSON.parse(readFileSync(new URL('../fixtures/elementary.json', import.meta.url), 'utf8')) as Fixture;

/** The distance of a double's neighbour above. */
function ulp(x: number): number {
  const size = Math.max(Math.abs(x), 2 ** -1022);
  let step = 2 ** (Math.floor(Math.log2(size)) - 52);
  // log2 may round up at the end of a binade.
  while (size < step * 2 ** 52) step /= 2;
  return step;
}

const functions: { name: keyof Fixture; f: (x: number, y: number) => number; bound: number }[] = [
  { name: 'exp', f: exp, bound: 0.7 },
  { name: 'log', f: log, bound: 0.6 },
  { name: 'pow', f: pow, bound: 0.7 },
  { name: 'sin', f: sin, bound: 0.8 },
  { name: 'cos', f: cos, bound: 0.8 },
  { name: 'sinPi', f: sinPi, bound: 0.8 },
  { name: 'cosPi', f: cosPi, bound: 0.8 },
];

describe('elementary functions against mpmath', () => {
  for (const { name, f, bound } of functions) {
    test(`${name} errs by less than ${bound} ulp`, () => {
      let worst = { error: 0, row: [] as number[] };
      for (const row of fixture[name]) {
        const [high, low] = row.slice(-2) as [number, number];
        const error = Math.abs(f(row[0]!, row[1]!) - high - low) / ulp(high);
        if (!(error <= worst.error)) worst = { error, row };
      }
      expect(fixture[name].length).toBeGreaterThan(200);
      expect(worst.error, `at ${worst.row.join(', ')}`).toBeLessThan(bound);
    });
  }
});

describe('special values', () => {
  test('exp overflows to Infinity, underflows through subnormals to 0, and carries NaN', () => {
    expect(exp(710)).toBe(Infinity);
    expect(exp(Infinity)).toBe(Infinity);
    expect(exp(-746)).toBe(0);
    expect(exp(-Infinity)).toBe(0);
    expect(exp(NaN)).toBeNaN();
    // e^-745 is 4.99e-324, nearest to the least subnormal.
    expect(exp(-745)).toBe(5e-324);
    // e^-744 = 7.67e-324 is 1.55 times that.
    expect(exp(-744)).toBe(1e-323);
    expect(exp(0)).toBe(1);
    expect(exp(-0)).toBe(1);
  });

  test('log has its pole at 0 and no values below', () => {
    expect(log(0)).toBe(-Infinity);
    expect(log(-0)).toBe(-Infinity);
    expect(log(-1)).toBeNaN();
    expect(log(NaN)).toBeNaN();
    expect(log(Infinity)).toBe(Infinity);
    expect(log(1)).toBe(0);
  });

  test('pow follows ** at zeros, ones, infinities, negative bases and NaN', () => {
    const values = [
      0,
      -0,
      1,
      -1,
      2,
      -2,
      0.5,
      -0.5,
      3,
      -3,
      Infinity,
      -Infinity,
      NaN,
      2 ** 53,
      -(2 ** 53),
      2 ** 53 + 2,
      1e300,
      1e-300,
    ];
    for (const x of values) {
      for (const y of values) {
        const expected = x ** y;
        // Ordinary values may differ by rounding; special ones may not.
        if (Number.isFinite(expected) && expected !== 0 && Math.abs(expected) !== 1) continue;
        expect(pow(x, y), `${x} ** ${y}`).toBe(expected);
      }
    }
  });

  test('angles: zeros keep their sign, infinities have no value', () => {
    expect(sin(-0)).toBe(-0);
    expect(cos(0)).toBe(1);
    expect(sinPi(-0)).toBe(-0);
    for (const f of [sin, cos, sinPi, cosPi]) {
      for (const x of [NaN, Infinity, -Infinity]) expect(f(x)).toBeNaN();
    }
  });

  test('sinPi and cosPi are exact at every half', () => {
    for (let n = -9; n <= 9; n++) {
      expect(sinPi(n)).toBe(n < 0 ? -0 : 0);
      expect(cosPi(n)).toBe(n % 2 === 0 ? 1 : -1);
      expect(sinPi(n + 0.5)).toBe(n % 2 === 0 ? 1 : -1);
      expect(cosPi(n + 0.5)).toBe(0);
    }
    expect(cosPi(2 ** 60)).toBe(1);
    expect(cosPi(2 ** 53 - 1)).toBe(-1);
  });
});

describe('identities', () => {
  test('whole powers that a double holds are exact', () => {
    for (let base = 2; base <= 30; base++) {
      for (let power = 1n; BigInt(base) ** power < 2n ** 53n; power++) {
        expect(pow(base, Number(power))).toBe(Number(BigInt(base) ** power));
        expect(pow(-base, Number(power))).toBe(Number(BigInt(-base) ** power));
      }
    }
    for (let power = -1074; power < 1024; power++) {
      expect(pow(2, power)).toBe(power < -1022 ? 2 ** -1022 * 2 ** (power + 1022) : 2 ** power);
    }
  });

  test('log undoes exp, and odd and even functions are so to the bit', () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => {
        // exp errs by 0.7 ulp: 2^-52.5 relative, which log turns absolute.
        expect(Math.abs(log(exp(x)) - x)).toBeLessThanOrEqual(2 ** -52 + 0.6 * ulp(x));
        expect(sin(-x)).toBe(-sin(x));
        expect(cos(-x)).toBe(cos(x));
        expect(sinPi(-x)).toBe(-sinPi(x));
        expect(cosPi(-x)).toBe(cosPi(x));
      }),
    );
  });

  test('sin^2 + cos^2 = 1 for every finite double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => {
        // Each square errs by 2 * 0.8 ulp of itself, and the sum rounds: less than 5 ulp of 1.
        expect(Math.abs(sin(x) ** 2 + cos(x) ** 2 - 1)).toBeLessThan(5 * 2 ** -53);
      }),
    );
  });
});
