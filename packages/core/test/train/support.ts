import {
  AdamW,
  add,
  batchesOf,
  crossEntropy,
  dropout,
  gather,
  learningRateSchedule,
  matmul,
  rmsNorm,
  sum,
  tanh,
  tensor,
  Trainer,
  type Backend,
  type BatchSource,
  type ForwardPass,
  type LossFunction,
  type Optimizer,
  type RunState,
  type RunStore,
  type Tensor,
  type TrainerOptions,
} from '@lowrank/core';
import { valuesOf } from '../support/gradient-check.ts';

const VOCABULARY = 7;
const WIDTH = 6;

/** A token and the one to predict; -1: not trained. */
export type Example = readonly [number, number];

/** 12 examples of a fixed rule, one of them not trained: batches differ in their counts, and pairs always have one. */
export const examples: readonly Example[] = Array.from({ length: 12 }, (_, i) => [
  i % VOCABULARY,
  i === 4 ? -1 : (3 * (i % VOCABULARY) + 1) % VOCABULARY,
]);

/** A small model with a frozen table, two trained layers, a norm and dropout. */
export function smallModel(
  backend: Backend,
  probability = 0.2,
): { params: Map<string, Tensor>; loss: LossFunction<readonly Example[]> } {
  const make = (name: string, shape: readonly number[], trained: boolean): Tensor => {
    const made = tensor(backend, valuesOf({ shape }, name), shape);
    made.requiresGrad = trained;
    return made;
  };
  const table = make('table', [VOCABULARY, WIDTH], false);
  const params = new Map([
    ['hidden', make('hidden', [WIDTH, WIDTH], true)],
    ['norm', make('norm', [WIDTH], true)],
    ['head', make('head', [WIDTH, VOCABULARY], true)],
  ]);
  const loss = (batch: readonly Example[], pass: ForwardPass): { sum: Tensor; count: number } => {
    const ids = (which: 0 | 1): Tensor =>
      tensor(
        backend,
        Int32Array.from(batch, (example) => example[which]),
        [batch.length],
      );
    let x = gather(table, ids(0));
    if (pass.training) x = dropout(x, { probability, key: [pass.seed, 0], stream: [pass.step, 0] });
    x = rmsNorm(add(x, tanh(matmul(x, params.get('hidden')!))), params.get('norm')!, 1e-5);
    const losses = crossEntropy(matmul(x, params.get('head')!), ids(1));
    return { sum: sum(losses), count: batch.filter(([, target]) => target >= 0).length };
  };
  return { params, loss };
}

/** A trainer over the small model, with what the test wants otherwise. */
export function smallTrainer(
  backend: Backend,
  options: Partial<TrainerOptions<readonly Example[]>> = {},
): {
  trainer: Trainer<readonly Example[]>;
  params: Map<string, Tensor>;
  optimizer: Optimizer;
  data: BatchSource<readonly Example[]>;
  loss: LossFunction<readonly Example[]>;
} {
  const { params, loss } = smallModel(backend);
  const steps = options.steps ?? 10;
  const optimizer = options.optimizer ?? new AdamW([{ params }], { learningRate: 0.05, weightDecay: 0.01 });
  const data = batchesOf(examples, { batchSize: 2, seed: 5 });
  const trainer = new Trainer({
    optimizer,
    schedule: learningRateSchedule({ kind: 'cosine', learningRate: 0.05, steps, warmup: 2 }),
    loss,
    data,
    steps,
    seed: 5,
    ...options,
  });
  return { trainer, params, optimizer, data, loss };
}

/** A store in memory. What it holds went through JSON, as a file's would. */
export function memoryStore(): RunStore & { readonly states: Map<string, RunState> } {
  const states = new Map<string, RunState>();
  return {
    states,
    write: (name, state) => {
      states.set(name, { ...state, manifest: JSON.parse(JSON.stringify(state.manifest)) as RunState['manifest'] });
      return Promise.resolve();
    },
    latest: () => {
      const names = [...states.keys()];
      return Promise.resolve(
        names.toSorted((a, b) => states.get(a)!.manifest.step - states.get(b)!.manifest.step).at(-1),
      );
    },
    read: (name) => Promise.resolve(states.get(name)!),
  };
}

/** All values of some tensors, as plain numbers. */
export async function valuesIn(tensors: ReadonlyMap<string, Tensor>): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {};
  for (const [name, each] of tensors) values[name] = Array.from(await each.data());
  return values;
}
