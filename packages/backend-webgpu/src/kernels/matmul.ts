import type { FusedKernels, MatmulSpec, Primitives, Storage } from '@lowrank/core';
import type { Call, Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { fillWith } from './fill.ts';
import { directProgram, dotProgram } from './matmul-direct.ts';
import type { PanelType } from '../wgsl/panels.ts';
import { tileFor, tileProgram } from './matmul-tile.ts';

export const matmul =
  (device: Device): Primitives['matmul'] =>
  (a, b, spec) => {
    const { batch, m, n, k } = spec;
    const c = device.output(batch * m * n);
    if (k === 0 || c.length === 0) fillWith(device, c, 0, c.length);
    else multiply(device, a, b, c, spec, false);
    return c;
  };

export const matmulAccumulate =
  (device: Device): FusedKernels['matmulAccumulate'] =>
  (target, a, b, spec) => {
    if (spec.k > 0 && target.length > 0) multiply(device, a, b, target, spec, true);
  };

function multiply(device: Device, a: Storage, b: Storage, c: Storage, spec: MatmulSpec, adds: boolean): void {
  const { m, n, k, batchA, batchB } = spec;
  const { program, parameters, workgroups } = planOf(spec, adds, device.panels);
  const strides = { strideA: batchA ? m * k : 0, strideB: batchB ? k * n : 0 };
  device.run(program, { operands: { a, b, c }, parameters: { m, n, k, ...strides, ...parameters }, workgroups });
}

interface Plan extends Pick<Call, 'parameters' | 'workgroups'> {
  readonly program: Program;
}

/** Which of the programs: by the sizes alone. Only the tiles have panels: what reads each operand a few times gains nothing by rounding it. */
function planOf({ batch, m, n, k, transposeA, transposeB }: MatmulSpec, adds: boolean, panels: PanelType): Plan {
  if (m <= 4 && transposeB && k > 16) {
    const results = batch * m * n;
    const program = dotProgram(!transposeA && k % 4 === 0, transposeA, adds);
    return { program, parameters: { results }, workgroups: Math.ceil(results / 2) };
  }
  if (m <= 4 || k <= 16 || m * n <= 64) {
    const rows = m < 4 ? 1 : 4;
    const results = batch * Math.ceil(m / rows) * Math.ceil(n / 4);
    const program = directProgram(rows, transposeA, transposeB, !transposeB && n % 4 === 0, adds);
    return { program, parameters: { results }, workgroups: Math.ceil(results / 64) };
  }
  const tile = tileFor(m, n);
  const [tilesM, tilesN] = [Math.ceil(m / tile.m), Math.ceil(n / tile.n)];
  // Whole vectors along the axis that lies in memory.
  const vectorA = (transposeA ? m : k) % 4 === 0;
  const vectorB = (transposeB ? k : n) % 4 === 0;
  return {
    program: tileProgram(tile.name, transposeA, transposeB, vectorA, vectorB, n % 4 === 0, adds, panels),
    parameters: { tilesM, tilesN },
    workgroups: batch * tilesM * tilesN,
  };
}
