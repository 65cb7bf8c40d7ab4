import type { Primitives, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { OperandType, ParameterType, Program } from '../device/program.ts';
import { memoized } from './memoized.ts';

/** Some parts of the rows of y, side by side from column `before` on: an invocation for each element of them. */
const programOf = memoized((count: number): Program => {
  const operands: Record<string, OperandType> = {};
  const parameters: Record<string, ParameterType> = { length: 'u32', row: 'u32', before: 'u32', width: 'u32' };
  const lines: string[] = [];
  for (let part = 0; part < count; part++) {
    operands[`x${part}`] = 'read u32';
    parameters[`width${part}`] = 'u32';
    lines.push(`if (rest < p.width${part}) {
    store_y(to, load_x${part}(outer * p.width${part} + rest));
    return;
  }
  rest -= p.width${part};`);
  }
  operands['y'] = 'write u32';
  return {
    name: 'concat',
    operands,
    parameters,
    workgroup: 256,
    body: /* wgsl */ `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  let outer = i / p.width;
  var rest = i % p.width;
  let to = outer * p.row + p.before + rest;
  ${lines.join('\n  ')}`,
  };
});

/** As many parts in a dispatch as the device binds beside the result: seven at least. */
export const concat =
  (device: Device): Primitives['concat'] =>
  (parts, outer, axes, inner) => {
    const row = inner * axes.reduce((total, axis) => total + axis, 0);
    const y = device.output(outer * row, parts[0]?.dtype as 'f32' | 'i32' | undefined);
    const most = device.limits.bindings - 1;
    let before = 0;
    for (let first = 0; first < parts.length; first += most) {
      const some = parts.slice(first, first + most);
      const operands: Record<string, Storage> = { y };
      const parameters: Record<string, number> = {};
      let width = 0;
      for (const [part, storage] of some.entries()) {
        operands[`x${part}`] = storage;
        parameters[`width${part}`] = axes[first + part]! * inner;
        width += axes[first + part]! * inner;
      }
      const length = outer * width;
      Object.assign(parameters, { length, row, before, width });
      device.run(programOf(some.length), { operands, parameters, workgroups: Math.ceil(length / 256) });
      before += width;
    }
    return y;
  };
