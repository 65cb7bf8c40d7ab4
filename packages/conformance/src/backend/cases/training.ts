/** dropout and adamw. */
import type { AdamWSpec, DropoutSpec } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { uniform } from '../inputs.ts';

const masks: readonly DropoutSpec[] = [
  { rows: 1, columns: 1, probability: 0.5, key: [1, 2], stream: [3, 4] },
  { rows: 0, columns: 5, probability: 0.5, key: [1, 2], stream: [3, 4] },
  { rows: 61, columns: 67, probability: 0.1, key: [0xdeadbeef, 7], stream: [0, 0xffffffff] },
  { rows: 7, columns: 8, probability: 0.5, key: [0, 0], stream: [0, 0] },
  { rows: 3, columns: 1031, probability: 0.9, key: [0xffffffff, 0xffffffff], stream: [12, 0x80000000] },
  { rows: 5, columns: 33, probability: 0, key: [5, 6], stream: [7, 8] },
  { rows: 65_543, columns: 1, probability: 0.25, key: [5, 6], stream: [7, 8] },
];

function dropoutCases(): Case[] {
  return masks.map((spec) => {
    const name = `[${spec.rows}, ${spec.columns}], p = ${spec.probability}`;
    return {
      kernel: 'dropout',
      name,
      // No zeros among the inputs: a zero in the result is the mask's.
      inputs: [{ name: 'x', data: uniform(`dropout ${name}`, spec.rows * spec.columns, 0.5, 1.5) }],
      outputs: ['y'],
      run: (kernels, [x]) => [kernels.dropout(x!, spec)],
      bound: (u, [y]) => [bounds.dropout(y!, u)],
    };
  });
}

export function dropoutGradients(): GradientCase[] {
  const spec: DropoutSpec = { rows: 5, columns: 13, probability: 0.25, key: [1, 2], stream: [3, 4] };
  return [
    {
      kernel: 'dropout',
      name: `[${spec.rows}, ${spec.columns}]`,
      inputs: [{ name: 'x', data: uniform('dropout gradient', spec.rows * spec.columns) }],
      toward: [0],
      forward: (kernels, [x]) => [kernels.dropout(x!, spec)],
      loss: 0,
      backward: (kernels, _, __, dy) => [kernels.dropout(dy, spec)],
      bound: (u, [expected]) => [bounds.dropout(expected!, u)],
    },
  ];
}

function adamwCase(name: string, length: number, step: number, changes: Partial<AdamWSpec> = {}): Case {
  const [beta1, beta2] = [0.9, 0.999];
  const spec: AdamWSpec = {
    length,
    learningRate: 1e-3,
    beta1,
    beta2,
    epsilon: 1e-8,
    weightDecay: 0.01,
    correction1: 1 - beta1 ** step,
    correction2: 1 - beta2 ** step,
    ...changes,
  };
  const parameter = uniform(`adamw p ${name}`, length);
  const gradient = uniform(`adamw g ${name}`, length, -0.1, 0.1);
  // Moments are zero before the first step.
  const fresh = step === 1;
  const firstMoment = fresh ? new Float32Array(length) : uniform(`adamw m ${name}`, length, -0.05, 0.05);
  const secondMoment = fresh ? new Float32Array(length) : uniform(`adamw v ${name}`, length, 0, 0.01);
  return {
    kernel: 'adamw',
    name,
    inputs: [
      { name: 'parameter', data: parameter },
      { name: 'gradient', data: gradient },
      { name: 'firstMoment', data: firstMoment },
      { name: 'secondMoment', data: secondMoment },
    ],
    outputs: [],
    mutates: [0, 2, 3],
    run(kernels, [p, g, m, v]) {
      kernels.adamw(p!, g!, m!, v!, spec);
      return [];
    },
    bound: (u) => bounds.adamw(parameter, gradient, firstMoment, secondMoment, spec, u),
  };
}

function adamwCases(): Case[] {
  return [
    ...[0, 1, 7, 257, 4099].map((length) => adamwCase(`${length}, step 10`, length, 10)),
    adamwCase('first step', 61, 1),
    adamwCase('no decay', 61, 3, { weightDecay: 0 }),
    adamwCase('strong decay', 61, 3, { weightDecay: 0.5, learningRate: 0.1 }),
    adamwCase('large epsilon', 61, 3, { epsilon: 0.1 }),
    adamwCase('other betas', 61, 3, { beta1: 0.5, beta2: 0.9 }),
    adamwCase('late', 61, 10_000),
  ];
}

export function trainingCases(): Case[] {
  return [...dropoutCases(), ...adamwCases()];
}
