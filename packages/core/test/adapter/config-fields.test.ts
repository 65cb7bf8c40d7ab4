import {
  AdapterError,
  configError,
  finiteNumber,
  flag,
  moduleNames,
  oneOf,
  readConfig,
  wholeNumber,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';

const fields = {
  size: wholeNumber(4, 1, 10),
  share: finiteNumber(0.5, 'a number from 0 to 1', (value) => value >= 0 && value <= 1),
  fast: flag(false),
  kind: oneOf('a', ['a', 'b']),
  targetModules: moduleNames(['q_proj'], 1),
  excludeModules: moduleNames([], 0),
};
const defaults = { size: 4, share: 0.5, fast: false, kind: 'a', targetModules: ['q_proj'], excludeModules: [] };
const read = (input: unknown): unknown => readConfig('toy', input, fields);

describe('readConfig', () => {
  it('fills in what is left out or undefined', () => {
    for (const input of [undefined, {}, { size: undefined, kind: undefined }]) expect(read(input)).toEqual(defaults);
  });

  it('keeps what is right', () => {
    const given = { size: 10, share: 1, fast: true, kind: 'b', targetModules: 'layers\\.\\d', excludeModules: ['x'] };
    expect(read(given)).toEqual(given);
  });

  it('copies lists, so that changing the input later changes nothing', () => {
    const targetModules = ['a'];
    const config = readConfig('toy', { targetModules }, fields);
    targetModules.push('b');
    expect(config.targetModules).toEqual(['a']);
  });

  it.each<[unknown, string, string]>([
    [{ size: 0 }, 'size', 'toy: size is 0; give a whole number from 1 to 10'],
    [{ size: 11 }, 'size', 'size is 11'],
    [{ size: 1.5 }, 'size', 'size is 1.5'],
    [{ size: '4' }, 'size', 'size is "4"'],
    [{ size: null }, 'size', 'size is null'],
    [{ share: Number.NaN }, 'share', 'toy: share is NaN; give a number from 0 to 1'],
    [{ share: Infinity }, 'share', 'share is Infinity'],
    [{ fast: 1 }, 'fast', 'toy: fast is 1; give true or false'],
    [{ kind: 'c' }, 'kind', `toy: kind is "c"; give one of 'a', 'b'`],
    [{ kind: 'x'.repeat(1000) }, 'kind', `kind is "${'x'.repeat(60)}…"`],
    [{ targetModules: [] }, 'targetModules', 'targetModules is a list of 0; give a non-empty list of module names'],
    [{ targetModules: {} }, 'targetModules', 'targetModules is an object'],
    [{ targetModules: ['a', 3] }, 'targetModules[1]', 'give names that are not empty'],
    [{ targetModules: '' }, 'targetModules', 'not empty'],
    [{ excludeModules: '[' }, 'excludeModules', 'a valid regular expression'],
    [
      { rnak: 4 },
      'rnak',
      "toy: 'rnak' is not an option; there are size, share, fast, kind, targetModules, excludeModules",
    ],
    [{ constructor: 4 }, 'constructor', "'constructor' is not an option"],
    [null, '', 'toy: the configuration is null; give an object of options'],
    [[], '', 'a list of 0'],
    ['size', '', '"size"'],
    [() => 4, '', 'a function'],
  ])('refuses %j', (input, path, message) => {
    const error = thrownBy(() => read(input));
    expect(error).toMatchObject({ name: 'AdapterError', code: 'ADAPTER_CONFIG', path });
    expect(error.message).toContain(message);
  });

  it('refuses whole numbers of the other kind', () => {
    expect(thrownBy(() => read({ share: 1n }))).toMatchObject({ path: 'share', value: 1n });
  });

  it('gives the offending value', () => {
    expect(thrownBy(() => read({ size: -3 })).value).toBe(-3);
    expect(configError('toy', 'size', 7, 'size is odd')).toMatchObject({
      message: 'toy: size is odd',
      path: 'size',
      value: 7,
    });
  });
});

function thrownBy(run: () => unknown): AdapterError {
  try {
    run();
  } catch (error) {
    if (error instanceof AdapterError) return error;
  }
  throw new Error('no AdapterError was thrown');
}
