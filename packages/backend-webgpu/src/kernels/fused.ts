import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { adamw } from './adamw.ts';
import { adamw8bit } from './adamw8bit.ts';
import { attention, attentionBackward } from './attention.ts';
import { crossEntropy, crossEntropyBackward } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { gatherQuantized } from './gather-quantized.ts';
import { matmulAccumulate } from './matmul.ts';
import { matmulQuantized, matmulQuantizedAccumulate } from './matmul-quantized.ts';
import { rmsNorm, rmsNormBackward, rmsNormWeightBackward } from './rms-norm.ts';
import { rope } from './rope.ts';
import { silu, siluBackward } from './silu.ts';
import { softmax, softmaxBackward } from './softmax.ts';
import { sumOfSquares } from './sum-of-squares.ts';
import { swiglu, swigluBackward } from './swiglu.ts';

/** The optional kernels. */
export const fused: { readonly [Name in keyof FusedKernels]?: (device: Device) => FusedKernels[Name] } = {
  adamw,
  adamw8bit,
  attention,
  attentionBackward,
  crossEntropy,
  crossEntropyBackward,
  dropout,
  gatherQuantized,
  matmulAccumulate,
  matmulQuantized,
  matmulQuantizedAccumulate,
  rmsNorm,
  rmsNormBackward,
  rmsNormWeightBackward,
  rope,
  silu,
  siluBackward,
  softmax,
  softmaxBackward,
  sumOfSquares,
  swiglu,
  swigluBackward,
};
