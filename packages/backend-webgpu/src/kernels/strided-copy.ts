import type { Axis, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { memoized } from './memoized.ts';
import { strided, stridesOfCall } from '../wgsl/strides.ts';

const programOf = memoized((direction: 'read' | 'write', rank: number): Program => {
  const { parameters, code } = strided(rank, ['x']);
  const [from, to] = direction === 'read' ? ['p.start + at_x', 'i'] : ['i', 'p.start + at_x'];
  return {
    name: `strided ${direction}`,
    operands: { x: 'read u32', y: 'write u32' },
    parameters: { length: 'u32', start: 'u32', ...parameters },
    workgroup: 256,
    body: `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  ${code}
  store_y(${to}, load_x(${from}));`,
  };
});

/**
 * Moves 32-bit words between an array in strides and a dense one. `'read'`: x, from `start` on in the axes' strides, becomes y.
 * `'write'`: x becomes y's elements from `start` on.
 */
export function stridedCopy(
  device: Device,
  direction: 'read' | 'write',
  x: Storage,
  y: Storage,
  start: number,
  axes: readonly Axis[],
): void {
  const length = axes.reduce((product, { size }) => product * size, 1);
  device.run(programOf(direction, axes.length), {
    operands: { x, y },
    parameters: { length, start, ...stridesOfCall(axes, ['x']) },
    workgroups: Math.ceil(length / 256),
  });
}
