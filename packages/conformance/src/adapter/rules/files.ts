import { hostWeight, type ConfiguredAdapter, type GgufPair, type HostState, type InjectedAdapter } from '@lowrank/core';
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
  name: 'its PEFT form names every tensor once and brings configuration and change back',
  excuse: ({ configured: { adapter } }) =>
    'unsupported' in adapter.files.peft ? adapter.files.peft.unsupported : undefined,
  async run(trial) {
    const { adapter, config } = trial.configured;
    const { peft } = adapter.files;
    if ('unsupported' in peft) return;
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async ({ slot: { site, state }, adapter: injected }) => {
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
      const [live] = (await injected.hostStates()).values();
      const written = peft.toState?.(live!, config, site) ?? live!;
      if (written !== live) {
        // Another form of the same change, with a configuration of its own.
        await demandSameChange(trial, injected, written, back);
        return;
      }
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

/**
 * What is written, read as a reader does (its buffers made anew from the original layer), merges to the same weight. Both ways
 * sum the same products in float64; the weight that the adapter stood on while live and the sums are rounded to f32, 2^-24 of the
 * largest number among them each, and adapters that divide by norms round those as well: sixteen roundings are allowed.
 */
async function demandSameChange(
  trial: Trial,
  live: InjectedAdapter,
  written: HostState,
  config: ConfiguredAdapter['config'],
): Promise<void> {
  const expected = await mergedOf(live);
  const base = await live.slots[0]!.state.base?.values();
  const largest = [...expected, ...(base ?? [])].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const configured = { adapter: trial.configured.adapter, config };
  await withRig({ ...trial, configured }, {}, async ({ adapter: reader }) => {
    const states = await reader.hostStates();
    reader.load(new Map(Array.from(states, ([path, { buffers }]) => [path, { params: written.params, buffers }])));
    demandClose(trial, 'the merged weight, written and read back', await mergedOf(reader), {
      value: Float64Array.from(expected),
      tolerance: new Float64Array(expected.length).fill(16 * 2 ** -24 * largest),
    });
  });
}

async function mergedOf(adapter: InjectedAdapter): Promise<Float32Array> {
  return (await adapter.mergedWeight(adapter.sites[0]!.path)).values();
}
