import type { BlockFormat } from '@lowrank/core';
import type { Case, GradientCase } from '../case.ts';
import { activationCases, activationGradients } from './activations.ts';
import { attentionCases, attentionGradients } from './attention.ts';
import { crossEntropyCases, crossEntropyGradients } from './cross-entropy.ts';
import { elementwiseCases } from './elementwise.ts';
import { indexingCases } from './indexing.ts';
import { layoutCases } from './layout.ts';
import { matmulCases } from './matmul.ts';
import { quantizedCases } from './quantized.ts';
import { reduceCases } from './reduce.ts';
import { rmsNormCases, rmsNormGradients } from './rms-norm.ts';
import { ropeCases, ropeGradients } from './rope.ts';
import { softmaxCases, softmaxGradients } from './softmax.ts';
import { dropoutGradients, trainingCases } from './training.ts';

/** Every case of mode `test`; those of quantized kernels for the formats named. */
export function kernelCases(formats: readonly BlockFormat[]): Case[] {
  return [
    ...elementwiseCases(),
    ...reduceCases(),
    ...matmulCases(),
    ...layoutCases(),
    ...indexingCases(),
    ...quantizedCases(formats),
    ...activationCases(),
    ...softmaxCases(),
    ...rmsNormCases(),
    ...ropeCases(),
    ...attentionCases(),
    ...crossEntropyCases(),
    ...trainingCases(),
  ];
}

/** Every case of mode `grad`. */
export function gradientCases(): GradientCase[] {
  return [
    ...activationGradients(),
    ...softmaxGradients(),
    ...rmsNormGradients(),
    ...ropeGradients(),
    ...attentionGradients(),
    ...crossEntropyGradients(),
    ...dropoutGradients(),
  ];
}
