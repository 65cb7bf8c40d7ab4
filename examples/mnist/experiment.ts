import { dora } from '@lowrank/adapter-dora';
import { lora } from '@lowrank/adapter-lora';
import { freeze, inject, parameterCounts, type Backend, type ConfiguredAdapter } from '@lowrank/core';
import { loadDigits } from './digits.ts';
import { initialWeights, Network, type NetworkWeights } from './network.ts';
import { evaluate, train } from './training.ts';

/** One line of the table. */
export interface Row {
  readonly name: string;
  /** Parameters trained in the extra epochs; of the base, in its own. */
  readonly trainable: number;
  readonly loss: number;
  /** Of the held-out digits. */
  readonly accuracy: number;
  /** Accuracy once the adapter is folded into the weights. */
  readonly merged?: number;
}

export interface ExperimentOptions {
  readonly baseEpochs: number;
  /** Trained further from the same base: with LoRA, with DoRA, and, as the control, without either. */
  readonly extraEpochs: number;
  readonly seed: number;
  readonly onRow?: (row: Row) => void;
}

const adapters: readonly (readonly [string, ConfiguredAdapter])[] = [
  ['LoRA', lora({ rank: 4, alpha: 8, targetModules: 'all-linear' })],
  ['DoRA', dora({ rank: 4, alpha: 8, targetModules: 'all-linear' })],
];

/** Base, control, LoRA and DoRA, each judged on the same held-out digits. */
export async function experiment(backend: Backend, options: ExperimentOptions): Promise<readonly Row[]> {
  const { baseEpochs, extraEpochs, seed, onRow } = options;
  const digits = loadDigits();
  const rows: Row[] = [];
  const say = (row: Row): void => {
    rows.push(row);
    onRow?.(row);
  };
  /** Trains a network that starts at `weights`, judges it, and gives the weights it ends with. */
  const round = async (
    name: string,
    weights: NetworkWeights,
    epochs: number,
    order: number,
    adapter?: ConfiguredAdapter,
  ): Promise<NetworkWeights> => {
    const network = new Network(backend, weights);
    if (adapter !== undefined) freeze(network);
    const injected = adapter && (await inject(network, adapter, { seed }));
    const { trainable } = parameterCounts(network);
    await train(network, backend, digits.train, epochs, order);
    const judged = await evaluate(network, backend, digits.test);
    await injected?.merge();
    const merged = injected && (await evaluate(network, backend, digits.test)).accuracy;
    say({ name, trainable, ...judged, ...(merged === undefined ? {} : { merged }) });
    injected?.eject();
    const trained = await network.read();
    network.dispose();
    return trained;
  };
  const base = await round('base', initialWeights(seed), baseEpochs, seed);
  // The same new order of the data for all three.
  const again = seed + 1;
  await round('control', base, extraEpochs, again);
  for (const [name, adapter] of adapters) {
    const after = await round(name, base, extraEpochs, again, adapter);
    if (!after.every(({ weight }, i) => weight.every((value, j) => Object.is(value, base[i]!.weight[j])))) {
      throw new Error(`${name} changed the frozen base`);
    }
  }
  return rows;
}
