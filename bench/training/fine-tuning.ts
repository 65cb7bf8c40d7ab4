import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import {
  AdamW,
  inject,
  parameterCounts,
  Trainer,
  type Backend,
  type ConfiguredAdapter,
  type InjectedAdapter,
} from '@lowrank/core';
import { loadCausalLm, lossOf, openBaseModel, type Batch } from '@lowrank/models';
import { stepBatch, type TrainingSettings } from './settings.ts';

/** A model with adapters on it and an optimizer, which takes steps when asked. */
export interface FineTuning extends AsyncDisposable {
  readonly trainable: number;
  /** Takes `steps` more; gives their losses. */
  train(steps: number): Promise<number[]>;
}

/** @param format 'nf4' quantizes linear layers as they are read. */
export async function fineTuning(
  backend: Backend,
  path: string,
  settings: TrainingSettings,
  format?: string,
): Promise<FineTuning> {
  const { rank, alpha, targets } = settings;
  const base = await openBaseModel(path);
  const quantize = format === 'nf4' ? { quantize: { format, blockSize: 64, doubleQuantization: true } as const } : {};
  const model = await loadCausalLm(base.file, backend, quantize);
  const plugin = (settings.adapter === 'dora' ? doraAdapter : loraAdapter) as unknown as ConfiguredAdapter['adapter'];
  const config = plugin.parseConfig({ rank, alpha, targetModules: targets });
  const adapters: InjectedAdapter[] = [];
  for (let i = 0; i < (settings.adapters ?? 1); i++) {
    adapters.push(await inject(model, { adapter: plugin, config }, { name: `adapter-${i}`, seed: i }));
  }
  const params = adapters.flatMap((adapter, i) =>
    [...adapter.parameters()].map(([name, tensor]) => [`${i}.${name}`, tensor] as const),
  );
  const optimizer = new AdamW([{ params: new Map(params) }], { learningRate: 2e-4, weightDecay: 0 });
  let taken = 0;
  return {
    trainable: parameterCounts(model).trainable,
    async train(steps) {
      const losses: number[] = [];
      const first = taken;
      const trainer = new Trainer<Batch>({
        optimizer,
        schedule: () => 2e-4,
        loss: lossOf(model, settings.checkpointing),
        data: {
          batchesPerEpoch: steps,
          batch: (_, step) => stepBatch(settings, first + step, model.config.vocabularySize),
        },
        steps,
        maxGradNorm: 1,
        onEvent: (event) => {
          if (event.type === 'step') losses.push(event.loss);
        },
      });
      await trainer.run();
      taken += steps;
      return losses;
    },
    async [Symbol.asyncDispose]() {
      optimizer.dispose();
      for (const adapter of adapters.toReversed()) adapter.eject();
      model.dispose();
      await base.close();
    },
  };
}
