import { AdamW, AdamW8bit, loraPlusGroups, type Optimizer, type Tensor } from '@lowrank/core';
import { ModelsError } from '../models-error.ts';

/** What a run can be trained with. */
export type OptimizerName = 'adamw' | 'adamw8bit';

export interface OptimizerChoice {
  readonly optimizer: OptimizerName;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** LoRA+: what the learning rate of B is multiplied by. */
  readonly loraPlusRatio: number;
}

const makers = { adamw: AdamW, adamw8bit: AdamW8bit } as const;

/** The names that `fineTune` takes. */
export const optimizerNames: readonly OptimizerName[] = Object.keys(makers) as OptimizerName[];

/** @throws ModelsError MODELS_ARGUMENT for an unknown name; CoreError as the optimizers do. */
export function makeOptimizer(parameters: ReadonlyMap<string, Tensor>, choice: OptimizerChoice): Optimizer {
  const { optimizer: name, learningRate, weightDecay, loraPlusRatio } = choice;
  if (!Object.hasOwn(makers, name)) {
    throw new ModelsError(
      'MODELS_ARGUMENT',
      `the optimizer '${name}' is unknown; there are ${optimizerNames.join(', ')}`,
      {
        value: name,
      },
    );
  }
  const groups = loraPlusRatio === 1 ? [{ params: parameters }] : loraPlusGroups(parameters, loraPlusRatio);
  return new makers[name](groups, { learningRate, weightDecay });
}
