import { describe, expect, it } from 'vitest';
import { barText, bytesText, countText, durationText } from '../src/format.ts';

describe('numbers for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [98_362_432, '98.4 MB'],
    [2.5e9, '2.50 GB'],
    [3e15, '3000.0 TB'],
  ])('%s bytes are %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });

  it.each([
    [-3, '0:00'],
    [0.4, '0:00'],
    [9, '0:09'],
    [59.6, '1:00'],
    [125, '2:05'],
    [3609, '1:00:09'],
    [360_000, '100:00:00'],
  ])('%s seconds are %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  it('counts have commas', () => {
    expect([0, 999, 1234, 134_515_008].map(countText)).toEqual(['0', '999', '1,234', '134,515,008']);
  });

  it.each([
    [0, 4, '────'],
    [1, 4, '━───'],
    [4, 4, '━━━━'],
    [9, 4, '━━━━'],
    [0, 0, '━━━━'],
  ])('%s of %s is %s', (done, all, text) => {
    expect(barText(done, all, 4)).toBe(text);
  });
});
