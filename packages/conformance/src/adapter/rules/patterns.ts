import { patternValue, type AdapterConfig, type ConfiguredAdapter, type TypedArray } from '@lowrank/core';
import { demandEqual } from '../judge.ts';
import { withRig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

/** A configuration with ranks and alphas by pattern. */
interface Patterned extends AdapterConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
}

const path = 'conformance';

function isPatterned(config: AdapterConfig): config is Patterned {
  return 'rankPattern' in config && 'alphaPattern' in config;
}

/** What a pattern says of a module takes the place of what the configuration says, live, merged and in files. */
export const keepsToPatterns: AdapterRule = {
  name: 'a rank and alpha by pattern are as if they were the only ones',
  excuse: ({ configured: { config } }) =>
    isPatterned(config) ? undefined : 'the configuration has no rank and alpha patterns',
  async run(trial) {
    const plain = resolved(trial.configured, false);
    const byPattern = resolved(trial.configured, true);
    const states = await stirredStates(trial);
    const seen = async (configured: ConfiguredAdapter): Promise<Map<string, TypedArray>> =>
      withRig({ ...trial, configured }, { name: path, states }, async (rig) => {
        const { adapter, config } = configured;
        const { site } = rig.slot;
        const found = new Map([['output', await rig.output([5])]]);
        if (adapter.merge !== undefined) {
          found.set('merged weight', await (await rig.adapter.mergedWeight(site.path)).values());
        }
        const { gguf } = adapter.files;
        if (!('unsupported' in gguf)) {
          const { alpha, a, b } = gguf.toPair((await rig.adapter.hostStates()).get(site.path)!, config, site);
          found.set('alpha in GGUF', Float64Array.of(alpha));
          found.set('a in GGUF', a.data);
          found.set('b in GGUF', b.data);
        }
        return found;
      });
    const [expected, got] = [await seen(plain), await seen(byPattern)];
    for (const [what, values] of expected) demandEqual(trial, `${what} by pattern`, got.get(what)!, values);
  },
};

/** The same rank and alpha at the path, as the only ones or by a pattern beside others. */
function resolved({ adapter, config }: Trial['configured'], byPattern: boolean): ConfiguredAdapter {
  const own = config as Patterned;
  const rank = patternValue(own.rankPattern, path, own.rank);
  const alpha = patternValue(own.alphaPattern, path, own.alpha);
  const named = byPattern
    ? { rank: 2, alpha: 3, rankPattern: { nowhere: 4, '.*': rank }, alphaPattern: { '.*': alpha } }
    : { rank, alpha, rankPattern: {}, alphaPattern: {} };
  return { adapter, config: adapter.parseConfig({ ...own, ...named }) };
}
