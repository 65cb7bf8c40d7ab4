import type { AdamWOperands, FusedKernels, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { OperandType, ParameterType, Program } from '../device/program.ts';
import { adamwParameters, adamwScalars, adamwStep } from '../wgsl/adamw-step.ts';
import type { Vector } from '../wgsl/functions.ts';
import { groupsThatBind } from './groups-that-bind.ts';
import { memoized } from './memoized.ts';

const workgroup = 256;

/** One step of `count` parameters in place: an invocation for each element (or vector of four) of them. */
const programOf = memoized((count: number, type: Vector): Program => {
  const operands: Record<string, OperandType> = { moments: `write ${type}`, gradientScale: 'read f32' };
  const parameters: Record<string, ParameterType> = { row: 'u32', ...adamwParameters };
  const lines: string[] = [];
  for (let k = 0; k < count; k++) {
    operands[`parameter${k}`] = `write ${type}`;
    operands[`gradient${k}`] = `read ${type}`;
    parameters[`length${k}`] = 'u32';
    parameters[`at${k}`] = 'u32';
    lines.push(/* wgsl */ `if (i < p.length${k}) {
    let at = p.at${k} + i;
    let g = load_gradient${k}(i) * scale;
    var m = load_moments(at);
    var v = load_moments(p.row + at);${adamwStep}
    store_moments(at, m);
    store_moments(p.row + at, v);
    store_parameter${k}(i, load_parameter${k}(i) * p.decay - change);
    return;
  }
  i -= p.length${k};`);
  }
  return {
    name: 'adamw',
    operands,
    parameters,
    workgroup,
    body: /* wgsl */ `
  var i = group * ${workgroup}u + local;
  let scale = load_gradientScale(0u);
  ${lines.join('\n  ')}`,
  };
});

/** As many parameters in a dispatch as the device binds with their gradients: three at least. */
export const adamw =
  (device: Device): FusedKernels['adamw'] =>
  (all, moments, gradientScale, spec) => {
    const scalars = adamwScalars(spec);
    const shared = [moments, gradientScale];
    for (const some of groupsThatBind(device.limits, all, shared, (of) => [of.parameter, of.gradient])) {
      const width = some.every(({ length }) => length % 4 === 0) ? 4 : 1;
      const operands: Record<string, Storage> = { moments, gradientScale };
      const parameters: Record<string, number> = { row: moments.length / 2 / width, ...scalars };
      for (const [k, of] of some.entries()) {
        operands[`parameter${k}`] = of.parameter;
        operands[`gradient${k}`] = of.gradient;
        parameters[`length${k}`] = of.length / width;
        parameters[`at${k}`] = of.at / width;
      }
      device.run(programOf(some.length, width === 4 ? 'vec4f' : 'f32'), {
        operands,
        parameters,
        workgroups: Math.ceil(totalOf(some) / width / workgroup),
      });
    }
  };

function totalOf(operands: readonly AdamWOperands[]): number {
  return operands.reduce((total, { length }) => total + length, 0);
}
