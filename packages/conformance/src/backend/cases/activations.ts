import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { uniform } from '../inputs.ts';

const lengths = [0, 1, 7, 257, 4099];
/** More than 65,535 vectors of four. */
const many = 65_536 * 4 + 3;

/** Where silu is linear, zero, curved; beyond +-88 exp leaves float32. */
const far = Float32Array.of(-1e4, -200, -90, -88, -50, -1.278, -1e-6, 0, 1e-6, 1, 17, 50, 88, 90, 200, 1e4);

function inputsFor(make: (name: string, x: Float32Array) => Case): Case[] {
  return [...[...lengths, many].map((n) => make(`${n}`, uniform(`activation ${n}`, n, -8, 8))), make('far out', far)];
}

/** An operand as long as x, of its own seed. */
function like(x: Float32Array, name: string): Float32Array {
  return uniform(`${name} ${x.length}`, x.length, -2, 2);
}

export function activationCases(): Case[] {
  return [
    ...inputsFor((name, x) => ({
      kernel: 'silu',
      name,
      inputs: [{ name: 'x', data: x }],
      outputs: ['y'],
      run: (kernels, [operand]) => [kernels.silu(operand!, x.length)],
      bound: (u) => [bounds.silu(x, () => 1, u)],
    })),
    ...inputsFor((name, x) => {
      const dy = like(x, 'dy');
      return {
        kernel: 'siluBackward',
        name,
        inputs: [
          { name: 'x', data: x },
          { name: 'dy', data: dy },
        ],
        outputs: ['dx'],
        run: (kernels, [p, q]) => [kernels.siluBackward(p!, q!, x.length)],
        bound: (u) => [bounds.siluSlope(x, (i) => dy[i]!, u)],
      };
    }),
    ...inputsFor((name, gate) => {
      const up = like(gate, 'up');
      return {
        kernel: 'swiglu',
        name,
        inputs: [
          { name: 'gate', data: gate },
          { name: 'up', data: up },
        ],
        outputs: ['y'],
        run: (kernels, [p, q]) => [kernels.swiglu(p!, q!, gate.length)],
        bound: (u) => [bounds.silu(gate, (i) => up[i]!, u)],
      };
    }),
    ...inputsFor((name, gate) => {
      const up = like(gate, 'up');
      const dy = like(gate, 'dy');
      return {
        kernel: 'swigluBackward',
        name,
        inputs: [
          { name: 'gate', data: gate },
          { name: 'up', data: up },
          { name: 'dy', data: dy },
        ],
        outputs: ['dGate', 'dUp'],
        run(kernels, [p, q, r]) {
          const { dGate, dUp } = kernels.swigluBackward(p!, q!, r!, gate.length);
          return [dGate, dUp];
        },
        bound: (u) => [bounds.siluSlope(gate, (i) => up[i]! * dy[i]!, u), bounds.silu(gate, (i) => dy[i]!, u)],
      };
    }),
  ];
}

export function activationGradients(): GradientCase[] {
  const x = Float32Array.of(-30, -9, ...uniform('silu gradient', 29, -6, 6), 0, 30);
  const up = uniform('swiglu gradient up', x.length, -2, 2);
  return [
    {
      kernel: 'siluBackward',
      name: `${x.length}`,
      inputs: [{ name: 'x', data: x }],
      toward: [0],
      forward: (kernels, [operand]) => [kernels.silu(operand!, x.length)],
      loss: 0,
      backward: (kernels, [operand], _, dy) => [kernels.siluBackward(operand!, dy, x.length)],
      bound: (u, _, __, dy) => [bounds.siluSlope(x, (i) => dy[i]!, u)],
    },
    {
      kernel: 'swigluBackward',
      name: `${x.length}`,
      inputs: [
        { name: 'gate', data: x },
        { name: 'up', data: up },
      ],
      toward: [0, 1],
      forward: (kernels, [p, q]) => [kernels.swiglu(p!, q!, x.length)],
      loss: 0,
      backward(kernels, [p, q], _, dy) {
        const { dGate, dUp } = kernels.swigluBackward(p!, q!, dy, x.length);
        return [dGate, dUp];
      },
      bound: (u, _, __, dy) => [bounds.siluSlope(x, (i) => up[i]! * dy[i]!, u), bounds.silu(x, (i) => dy[i]!, u)],
    },
  ];
}
