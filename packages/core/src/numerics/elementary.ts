/**
 * Elementary functions in plain double arithmetic: the same bits on every JavaScript engine, which `Math.exp` and its
 * like are not. Only +, -, *, /, square roots and whole numbers are used; IEEE 754 fixes those.
 */
export { exp, log, pow } from './exp-log.ts';
export { cos, cosPi, sin, sinPi } from './trigonometry.ts';
