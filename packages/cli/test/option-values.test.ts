import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { moduleNames, numberBetween, wholeNumber } from '../src/option-values.ts';

describe('option values', () => {
  it('whole numbers are taken from the least on', () => {
    const least = fc.nat(1000);
    fc.assert(
      fc.property(least, fc.nat(), (low, more) => {
        expect(wholeNumber(low)(String(low + more))).toBe(low + more);
      }),
      { seed: 1 },
    );
    fc.assert(
      fc.property(least, fc.integer({ min: 1 }), (low, less) => {
        expect(() => wholeNumber(low)(String(low - less))).toThrow(`a whole number of ${low} or more`);
      }),
      { seed: 1 },
    );
  });

  it.each(['', ' ', '1.5', 'x', '1e400', '12a', 'NaN', String(2 ** 53)])("'%s' is no whole number", (text) => {
    expect(() => wholeNumber(0)(text)).toThrow('a whole number');
  });

  it.each(['', ' ', 'x', '-0.1', '1.1', 'NaN'])("'%s' is no number from 0 to 1", (text) => {
    expect(() => numberBetween(0, 1)(text)).toThrow('a number from 0 to 1 is needed');
  });

  it('numbers are taken with both ends, and in any notation', () => {
    expect(['0', '1', '0.25', '5e-2'].map(numberBetween(0, 1))).toEqual([0, 1, 0.25, 0.05]);
    expect(() => numberBetween(0, Infinity)('-1')).toThrow('a number of 0 or more is needed');
  });

  it.each<readonly [string, string | string[]]>([
    ['q_proj', ['q_proj']],
    ['q_proj, v_proj', ['q_proj', 'v_proj']],
    ['all-linear', 'all-linear'],
    ['.*\\.(q|v)_proj', '.*\\.(q|v)_proj'],
  ])('the modules %s', (text, names) => {
    expect(moduleNames(text)).toEqual(names);
  });
});
