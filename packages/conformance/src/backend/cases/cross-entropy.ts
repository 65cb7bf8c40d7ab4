import { crossEntropy } from '../../reference/cross-entropy.ts';
import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { integers, uniform } from '../inputs.ts';

interface Example {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly logits: Float32Array;
  readonly targets: Int32Array;
  readonly dLosses: Float32Array;
  readonly flags?: Partial<Case>;
}

/** Every third row is ignored; the first and the last class are among the targets. */
function example(rows: number, columns: number, name = `[${rows}, ${columns}]`, low = -6, high = 6): Example {
  const targets = integers(`targets ${name}`, rows, Math.max(1, columns)).map((target, row) =>
    row % 3 === 2 ? -1 : target,
  );
  if (rows > 1) targets.set([0, columns - 1], 0);
  return {
    name,
    rows,
    columns,
    logits: uniform(`logits ${name}`, rows * columns, low, high),
    targets,
    dLosses: uniform(`dLosses ${name}`, rows),
  };
}

function examples(): Example[] {
  const poisoned = example(4, 5, 'NaN in one row, infinity in an ignored one');
  poisoned.logits[3] = NaN;
  poisoned.logits[2 * 5 + 1] = Infinity;
  return [
    example(1, 1),
    example(0, 7),
    example(5, 13),
    example(61, 67),
    example(3, 1031),
    example(2, 4099),
    example(65_543, 2),
    example(5, 33, 'far from zero', 990, 1000),
    example(5, 33, 'far apart', -400, 400),
    { ...example(7, 11, 'all ignored'), targets: new Int32Array(7).fill(-100) },
    { ...poisoned, flags: { nonFinite: true } },
  ];
}

export function crossEntropyCases(): Case[] {
  return examples().flatMap(({ name, rows, columns, logits, targets, dLosses, flags }): Case[] => {
    const { logSumExp } = crossEntropy(Float64Array.from(logits), targets, rows, columns);
    const operands = [
      { name: 'logits', data: logits },
      { name: 'targets', data: targets },
    ];
    return [
      {
        kernel: 'crossEntropy',
        name,
        inputs: operands,
        outputs: ['losses', 'logSumExp'],
        run(kernels, [x, t]) {
          const results = kernels.crossEntropy(x!, t!, rows, columns);
          return [results.losses, results.logSumExp];
        },
        bound: (u) => bounds.crossEntropy(logits, targets, rows, columns, u),
        ...flags,
      },
      {
        kernel: 'crossEntropyBackward',
        name,
        inputs: [
          ...operands,
          { name: 'logSumExp', data: Float32Array.from(logSumExp) },
          { name: 'dLosses', data: dLosses },
        ],
        outputs: ['dLogits'],
        run: (kernels, [x, t, total, dy]) => [kernels.crossEntropyBackward(x!, t!, total!, dy!, rows, columns)],
        bound: (u) => [bounds.crossEntropyBackward(logits, targets, dLosses, rows, columns, u)],
        ...flags,
      },
    ];
  });
}

export function crossEntropyGradients(): GradientCase[] {
  return [example(1, 2), example(4, 7), example(7, 17)].map(({ name, rows, columns, logits, targets }) => ({
    kernel: 'crossEntropyBackward',
    name,
    inputs: [
      { name: 'logits', data: logits },
      { name: 'targets', data: targets },
    ],
    toward: [0],
    forward(kernels, [x, t]) {
      const results = kernels.crossEntropy(x!, t!, rows, columns);
      return [results.losses, results.logSumExp];
    },
    loss: 0,
    backward: (kernels, [x, t], [, total], dy) => [kernels.crossEntropyBackward(x!, t!, total!, dy, rows, columns)],
    bound: (u, _, __, dy) => [bounds.crossEntropyBackward(logits, targets, dy, rows, columns, u)],
  }));
}
