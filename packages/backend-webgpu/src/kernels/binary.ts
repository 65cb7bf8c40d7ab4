import { joinAxes, sizeOf, stridesOf, type BinaryOp, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { memoized } from './memoized.ts';
import { maxAndMin } from '../wgsl/not-a-number.ts';
import { strided, stridesOfCall } from '../wgsl/strides.ts';
import { elementwise } from './elementwise-program.ts';

/** With `a` and `b` of type Element (f32 or vec4f). */
const expressions: Record<BinaryOp, string> = {
  add: 'a + b',
  sub: 'a - b',
  mul: 'a * b',
  div: 'a / b',
  max: 'greater(a, b)',
  min: 'lesser(a, b)',
  equal: 'select(Element(0.0), Element(1.0), a == b)',
  less: 'select(Element(0.0), Element(1.0), a < b)',
  lessEqual: 'select(Element(0.0), Element(1.0), a <= b)',
};

/** Operands that lie alike. */
const alike = memoized((op: BinaryOp) =>
  elementwise({
    name: `binary ${op}`,
    reads: ['a', 'b'],
    writes: ['y'],
    declarations: maxAndMin,
    body: `
  let a = load_a(i);
  let b = load_b(i);
  store_y(i, ${expressions[op]});`,
  }),
);

/** b is one number, which the host knows. */
const withNumber = memoized((op: BinaryOp) =>
  elementwise({
    name: `binary ${op}, number`,
    reads: ['a'],
    writes: ['y'],
    parameters: { number: 'f32' },
    declarations: maxAndMin,
    body: `
  let a = load_a(i);
  let b = Element(p.number);
  store_y(i, ${expressions[op]});`,
  }),
);

const broadcast = memoized((op: BinaryOp, rank: number): Program => {
  const { parameters, code } = strided(rank, ['a', 'b']);
  return {
    name: `binary ${op}`,
    operands: { a: 'read f32', b: 'read f32', y: 'write f32' },
    parameters: { length: 'u32', ...parameters },
    workgroup: 256,
    declarations: `alias Element = f32;\n${maxAndMin('f32')}`,
    body: `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  ${code}
  let a = load_a(at_a);
  let b = load_b(at_b);
  store_y(i, ${expressions[op]});`,
  };
});

export const binary =
  (device: Device): Primitives['binary'] =>
  (op, a, aShape, b, bShape) => {
    const shape = aShape.map((size, axis) => (size === 1 ? bShape[axis]! : size));
    const axes = joinAxes(shape, [stridesOf(aShape, shape), stridesOf(bShape, shape)]);
    const length = sizeOf(shape);
    const y = device.output(length);
    const word = sizeOf(bShape) === 1 && sizeOf(aShape) === length ? device.wordOf(b) : undefined;
    if (word !== undefined) {
      const { program, parameters, workgroups } = withNumber(op)(length);
      const number = new Float32Array(Uint32Array.of(word).buffer)[0]!;
      device.run(program, { operands: { a, y }, parameters: { ...parameters, number }, workgroups });
      return y;
    }
    if (axes.length === 0 || (axes.length === 1 && axes[0]!.strides.every((stride) => stride === 1))) {
      const { program, ...call } = alike(op)(length);
      device.run(program, { ...call, operands: { a, b, y } });
    } else {
      const parameters = { length, ...stridesOfCall(axes, ['a', 'b']) };
      const workgroups = Math.ceil(length / 256);
      device.run(broadcast(op, axes.length), { operands: { a, b, y }, parameters, workgroups });
    }
    return y;
  };
