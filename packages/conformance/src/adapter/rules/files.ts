import { hostWeight, type GgufPair, type HostState } from '@lowrank/core';
import { demand } from '../../conformance-error.ts';
import { demandClose, titleOf } from '../judge.ts';
import { withRig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

/** What llama.cpp makes of the pair is what merging makes of the state. */
export const ggufPairIsTheChange: AdapterRule = {
  name: "its GGUF pair's product is the merged change, there and back",
  excuse: ({ configured: { adapter } }) =>
    'unsupported' in adapter.files.gguf ? adapter.files.gguf.unsupported : undefined,
  async run(trial) {
    const { adapter, config } = trial.configured;
    const { gguf } = adapter.files;
    if ('unsupported' in gguf) return;
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async ({ slot: { site } }) => {
      const [state] = states.values();
      const pair = gguf.toPair(state!, config, site);
      const rank = pair.b.shape[1]!;
      const shape = site.kind === 'linear' ? [rank, site.inFeatures] : [site.inFeatures, rank];
      demand(
        pair.a.format === 'f32' && pair.a.shape.join() === shape.join(),
        titleOf(trial, `a is ${pair.a.format} [${pair.a.shape.join()}], not f32 [${shape.join()}]`),
      );
      demand(
        pair.b.format === 'f32' && pair.b.shape.join() === [site.outFeatures, rank].join(),
        titleOf(trial, `b is ${pair.b.format} [${pair.b.shape.join()}], not f32 [out, rank]`),
      );
      demand(
        Number.isFinite(Math.fround(pair.alpha)) && Math.fround(pair.alpha) !== 0,
        titleOf(trial, `alpha ${pair.alpha} cannot be stored`),
      );
      const expected = productOf(pair, trial);
      const change = await changeOf(trial, state!, config);
      demandClose(trial, 'the merged change', change, expected);
      const back = gguf.fromPair(pair, site);
      demandClose(trial, 'the change read back', await changeOf(trial, back.state, back.config), expected);
    });
  },
};

/** What merging adds to a weight of zeros, in the weight's own layout. */
async function changeOf(trial: Trial, state: HostState, config: unknown): Promise<Float32Array> {
  const { adapter } = trial.configured;
  demand(adapter.merge !== undefined, titleOf(trial, 'an adapter with a GGUF pair can be merged'));
  const { kind, inFeatures, outFeatures } = trial.row;
  const shape = kind === 'linear' ? ([outFeatures, inFeatures] as const) : ([inFeatures, outFeatures] as const);
  const zeros = hostWeight(shape, new Float32Array(inFeatures * outFeatures));
  const site = { kind, path: 'conformance', inFeatures, outFeatures };
  const merged = await adapter.merge(zeros, state, config as typeof trial.configured.config, site);
  return merged.values();
}

/**
 * (alpha / rank) b a with alpha as f32, in the weight's layout. Allowed on top of one rounding of the result: the roundings
 * of alpha and of whatever was folded into a and b, 2^-24 of each term.
 */
function productOf({ alpha, a, b }: GgufPair, { row }: Trial): { value: Float64Array; tolerance: Float64Array } {
  const { inFeatures, outFeatures, kind } = row;
  const rank = b.shape[1]!;
  const scale = Math.fround(alpha) / rank;
  const value = new Float64Array(inFeatures * outFeatures);
  const tolerance = new Float64Array(value.length);
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      const at = kind === 'linear' ? o * inFeatures + i : i * outFeatures + o;
      let size = 0;
      for (let k = 0; k < rank; k++) {
        const term = scale * b.data[o * rank + k]! * a.data[kind === 'linear' ? k * inFeatures + i : i * rank + k]!;
        value[at]! += term;
        size += Math.abs(term);
      }
      tolerance[at] = 1.01 * 2 ** -24 * (Math.abs(value[at]!) + 3 * size) + 2 ** -126;
    }
  }
  return { value, tolerance };
}

/** The names and the configuration under which PEFT knows it. */
export const peftFormIsWhole: AdapterRule = {
  name: 'its PEFT form names every tensor once and brings the configuration back',
  excuse: ({ configured: { adapter } }) =>
    'unsupported' in adapter.files.peft ? adapter.files.peft.unsupported : undefined,
  async run(trial) {
    const { adapter, config } = trial.configured;
    const { peft } = adapter.files;
    if ('unsupported' in peft) return;
    await withRig(trial, {}, async ({ slot: { site, state } }) => {
      const names = peft.tensorNames(site);
      const own = [...Object.keys(state.params), ...Object.keys(state.buffers)];
      demand(
        Object.keys(state.params).every((name) => name in names),
        titleOf(trial, `a parameter has no name in PEFT: ${own.join()} against ${Object.keys(names).join()}`),
      );
      demand(
        new Set(Object.values(names)).size === Object.keys(names).length,
        titleOf(trial, 'two tensors have the same name in PEFT'),
      );
      const saved = JSON.parse(JSON.stringify({ ...peft.toConfig(config), peft_type: peft.peftType })) as Record<
        string,
        unknown
      >;
      const back = peft.fromConfig(saved);
      demand(
        JSON.stringify(back) === JSON.stringify(config),
        titleOf(
          trial,
          `the configuration comes back from PEFT as ${JSON.stringify(back)}, it was ${JSON.stringify(config)}`,
        ),
      );
    });
  },
};
