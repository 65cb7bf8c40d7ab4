import { decodeArray, FrozenWeight, isFourBitFormat, type InjectedAdapter } from '@lowrank/core';
import type { Base } from '../adapters/base.ts';
import { CausalLm } from '../causal-lm/causal-lm.ts';

/** An adapter on the model, and how much of its change is merged. */
export interface WeightedAdapter {
  readonly adapter: InjectedAdapter;
  /** Default 1. */
  readonly weight?: number;
}

/** What adapters make of the weights of a model. */
export interface Changes {
  /** Names of the tensors that change, as Hugging Face has them: `lm_head.weight`. */
  readonly names: ReadonlySet<string>;
  /** Whether a head that was the embedding's table becomes one of its own. */
  readonly unties: boolean;
  /** A changed tensor's values. @param original its values before. */
  values(name: string, original: () => Promise<Float32Array>): Promise<Float32Array>;
}

/** One adapter's values of a tensor, merged. */
type Merged = () => Promise<ArrayLike<number>>;

/**
 * The change that several adapters make together: W + sum w (W' - W), with W' what each makes of W alone. One adapter of
 * weight 1 gives its W' as it is.
 * Weights that the model holds in 4 bits are what those decode to: the model as it is, not as its file has it.
 * @param model the one that they sit on.
 */
export function changesOf(model: Base, adapters: readonly WeightedAdapter[]): Changes {
  const parts = new Map<string, { merged: Merged; weight: number }[]>();
  const add = (name: string, merged: Merged, weight: number): void => {
    parts.set(name, [...(parts.get(name) ?? []), { merged, weight }]);
  };
  for (const { adapter, weight = 1 } of adapters) {
    for (const { path } of adapter.sites) {
      add(`${path}.weight`, async () => (await adapter.mergedWeight(path)).values(), weight);
    }
    for (const { path, name, tensor } of adapter.copies) add(`${path}.${name}`, () => tensor.data(), weight);
  }
  const held = model instanceof CausalLm ? fourBitWeights(model) : new Map<string, FrozenWeight>();
  return {
    names: new Set([...parts.keys(), ...held.keys()]),
    unties: model.tied && model instanceof CausalLm && untied(model, adapters),
    async values(name, original) {
      const own = parts.get(name) ?? [];
      if (own.length === 1 && own[0]!.weight === 1) return Float32Array.from(await own[0]!.merged());
      const quantized = held.get(name);
      const before = quantized === undefined ? await original() : decodeArray(await quantized.host());
      const sum = Float64Array.from(before);
      for (const { merged, weight } of own) {
        const after = await merged();
        for (let i = 0; i < sum.length; i++) sum[i]! += weight * (after[i]! - before[i]!);
      }
      return Float32Array.from(sum);
    },
  };
}

const ends: ReadonlySet<string> = new Set(['model.embed_tokens', 'lm_head']);

/** Whether head and embedding part: one of them has an adapter, or a trained copy that the other does not share. */
function untied(model: CausalLm, adapters: readonly WeightedAdapter[]): boolean {
  if (adapters.some(({ adapter }) => adapter.sites.some(({ path }) => ends.has(path)))) return true;
  const [embedding, head] = [...model.modules()]
    .filter(([path]) => ends.has(path))
    .map(([, module]) => module.weightNamed('weight'));
  return embedding !== head;
}

/** Weights that were quantized when the model was loaded, by name. */
function fourBitWeights(model: CausalLm): Map<string, FrozenWeight> {
  const held = new Map<string, FrozenWeight>();
  for (const [path, module] of model.modules()) {
    for (const [name, weight] of module.weights()) {
      if (weight instanceof FrozenWeight && isFourBitFormat(weight.format)) held.set(`${path}.${name}`, weight);
    }
  }
  return held;
}
