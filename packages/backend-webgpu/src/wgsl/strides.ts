import type { Axis } from '@lowrank/core';
import type { ParameterType } from '../device/program.ts';

/** The place of element `i` in operands that lie in strides. */
export interface Strided {
  readonly parameters: Readonly<Record<string, ParameterType>>;
  /** Declares `at_NAME` for each operand, from `i`. */
  readonly code: string;
}

/** For `rank` joined axes, whose sizes and strides are parameters. */
export function strided(rank: number, operands: readonly string[]): Strided {
  const parameters: Record<string, ParameterType> = {};
  const lines = ['var rest = i;', ...operands.map((name) => `var at_${name} = 0u;`)];
  for (let axis = rank - 1; axis >= 0; axis--) {
    parameters[`size_${axis}`] = 'u32';
    const outermost = axis === 0;
    lines.push(outermost ? 'let at_0 = rest;' : `let at_${axis} = rest % p.size_${axis}; rest /= p.size_${axis};`);
    for (const name of operands) {
      parameters[`${name}_${axis}`] = 'u32';
      lines.push(`at_${name} += at_${axis} * p.${name}_${axis};`);
    }
  }
  return { parameters, code: lines.join('\n  ') };
}

/** The parameters' values. */
export function stridesOfCall(axes: readonly Axis[], operands: readonly string[]): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [axis, { size, strides }] of axes.entries()) {
    values[`size_${axis}`] = size;
    for (const [operand, name] of operands.entries()) values[`${name}_${axis}`] = strides[operand]!;
  }
  return values;
}
