import { expect, it } from 'vitest';
import { commonLoss, secondsTo } from './protocol.ts';

const curve = (...losses: number[]) => losses.map((loss, i) => ({ step: i + 1, seconds: 10 * (i + 1), loss }));

it('the common loss is the lowest that every run reaches', () => {
  expect(commonLoss([curve(3, 1, 1.2), curve(2, 1.5)])).toBe(1.5);
});

it('the time to a loss is that of the first evaluation at or below it', () => {
  expect(secondsTo(1.5, curve(3, 1, 1.2))).toBe(20);
  expect(secondsTo(1.5, curve(2, 1.5))).toBe(20);
  expect(secondsTo(0.5, curve(2, 1.5))).toBeUndefined();
});
