/**
 * What panels of operands hold in workgroup memory, from where the invocations of a workgroup multiply them. Products are of f32
 * and so are their sums, whatever the panels hold: two halves have an exact product in f32.
 */
import type { Program } from '../device/program.ts';

/**
 * `f16` needs the device's feature `shader-f16`, and halves workgroup memory and what is read from it. `f16 in f32` gives the same
 * numbers on any device, as f32 that hold what f16 would: for tests.
 */
export type PanelType = 'f32' | 'f16' | 'f16 in f32';

export interface Panel {
  /** The type of four elements in workgroup memory. */
  readonly element: 'vec4f' | 'vec4h';
  /** WGSL extensions that it takes: part of a program. */
  readonly extensions: Pick<Program, 'enable'>;
  /** Functions that it takes. */
  readonly declarations: string;
  /** A vec4f as it is stored, rounded to nearest. */
  readonly store: (value: string) => string;
  /** What was stored, as a vec4f. */
  readonly load: (value: string) => string;
}

/**
 * To the nearest of eleven bits, ties to even. WGSL leaves open to which neighbour a conversion to f16 rounds (WebGPU Shading
 * Language, "Floating Point Conversion"), and there are devices that truncate; what is rounded already every conversion keeps, down to the
 * smallest normal half. Infinities and NaN, whose exponent is all ones, stay as they are.
 */
const nearestHalf = /* wgsl */ `
fn nearestHalf(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x);
  let nearest = (bits + 0xfffu + ((bits >> vec4u(13u)) & vec4u(1u))) & vec4u(0xffffe000u);
  return bitcast<vec4f>(select(nearest, bits, (bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u)));
}
`;

const panels: Readonly<Record<PanelType, Panel>> = {
  f32: { element: 'vec4f', extensions: {}, declarations: '', store: (value) => value, load: (value) => value },
  f16: {
    element: 'vec4h',
    extensions: { enable: ['f16'] },
    declarations: nearestHalf,
    store: (value) => `vec4h(nearestHalf(${value}))`,
    load: (value) => `vec4f(${value})`,
  },
  'f16 in f32': {
    element: 'vec4f',
    extensions: {},
    declarations: nearestHalf,
    store: (value) => `quantizeToF16(nearestHalf(${value}))`,
    load: (value) => value,
  },
};

export function panelOf(type: PanelType): Panel {
  return panels[type];
}
