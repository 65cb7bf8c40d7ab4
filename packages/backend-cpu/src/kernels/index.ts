import type { Backend } from '@lowrank/core';
import type { Device } from '../device.ts';
import { accumulate } from './accumulate.ts';
import { adamw } from './adamw.ts';
import { adamw8bit } from './adamw8bit.ts';
import { attention, attentionBackward } from './attention.ts';
import { binary } from './binary.ts';
import { cast } from './cast.ts';
import { concat } from './concat.ts';
import { crossEntropy, crossEntropyBackward } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { fill } from './fill.ts';
import { gather, scatterAdd } from './gather.ts';
import { gatherQuantized } from './gather-quantized.ts';
import { matmul, matmulAccumulate } from './matmul.ts';
import { matmulQuantized, matmulQuantizedAccumulate } from './matmul-quantized.ts';
import { permute } from './permute.ts';
import { reduce } from './reduce.ts';
import { rmsNorm, rmsNormBackward, rmsNormWeightBackward } from './rms-norm.ts';
import { rope } from './rope.ts';
import { silu, siluBackward } from './silu.ts';
import { slice, writeSlice } from './slice.ts';
import { softmax, softmaxBackward } from './softmax.ts';
import { sumOfSquares } from './sum-of-squares.ts';
import { swiglu, swigluBackward } from './swiglu.ts';
import { unary } from './unary.ts';
import { where } from './where.ts';

const makers = {
  accumulate,
  adamw,
  adamw8bit,
  attention,
  attentionBackward,
  binary,
  cast,
  concat,
  crossEntropy,
  crossEntropyBackward,
  dropout,
  fill,
  gather,
  gatherQuantized,
  matmul,
  matmulAccumulate,
  matmulQuantized,
  matmulQuantizedAccumulate,
  permute,
  reduce,
  rmsNorm,
  rmsNormBackward,
  rmsNormWeightBackward,
  rope,
  scatterAdd,
  silu,
  siluBackward,
  slice,
  softmax,
  softmaxBackward,
  sumOfSquares,
  swiglu,
  swigluBackward,
  unary,
  where,
  writeSlice,
};

/** Every kernel over a device; `around` runs each call, so that what it allocates is given back where it throws. */
export function makeKernels(
  device: Device,
  around: <Result>(kernel: string, call: () => Result) => Result,
): Backend['kernels'] {
  const entries = Object.entries(makers).map(([name, make]) => {
    const kernel = make(device) as (...args: unknown[]) => unknown;
    return [name, (...args: unknown[]) => around(name, () => kernel(...args))];
  });
  return Object.fromEntries(entries) as { [Name in keyof typeof makers]: ReturnType<(typeof makers)[Name]> };
}
