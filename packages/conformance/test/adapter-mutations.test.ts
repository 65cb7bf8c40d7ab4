/** The suite passes a right adapter, and notices a wrong one: each mutation fails the claim that it breaks. */
import {
  add,
  AdapterError,
  hostWeight,
  keep,
  matmul,
  mul,
  reshape,
  scale,
  sub,
  tensor,
  equal,
  where,
  type Adapter,
  type AdapterState,
  type Backend,
} from '@lowrank/core';
import { adapterConformance, reference } from '@lowrank/conformance';
import { describe, expect, it } from 'vitest';
import { collectingRunner } from './support/collecting-runner.ts';
import { single } from './support/single.ts';
import {
  ggufForm,
  leaking,
  mutated,
  mutatedDelta,
  peftForm,
  project,
  twoFactor,
  type TwoFactorConfig,
} from './support/two-factor.ts';

const configs = { plain: { config: {} }, dropout: { config: { dropout: 0.5, rank: 60 } } };

adapterConformance(
  { describe, it },
  {
    adapter: twoFactor,
    configs,
    badConfigs: [[{ rank: 0 }, 'rank']],
    backends: { reference: () => reference(), float32: () => single() },
  },
);

interface Mutation {
  readonly name: string;
  /** Part of the broken claim's name. */
  readonly caughtBy: string;
  readonly adapter: Adapter<TwoFactorConfig>;
  /** Default: the float64 reference. */
  readonly backend?: () => Promise<Backend>;
}

let calls = 0;
let latest: AdapterState | undefined;
/** Seen by every instance of the adapter. */
const secret = new Map<string, Float32Array>();

const mutations: readonly Mutation[] = [
  {
    name: 'the scale is left out of the delta',
    caughtBy: 'live and merged',
    adapter: mutatedDelta((right, { factor }) => scale(right, 1 / factor)),
  },
  {
    name: 'a parameter is never used',
    caughtBy: 'every parameter gets a gradient',
    adapter: mutated({
      async setup(site, original, config, context) {
        const state = await twoFactor.setup(site, original, config, context);
        return { ...state, params: { ...state.params, idle: tensor(context.backend, [1], [1]) } };
      },
    }),
  },
  {
    name: 'what setup made besides stays behind',
    caughtBy: 'ejecting leaves the layer as it was',
    adapter: mutated({
      async setup(site, original, config, context) {
        keep(tensor(context.backend, [1, 2, 3], [3]));
        return twoFactor.setup(site, original, config, context);
      },
    }),
  },
  {
    name: 'its output of the layer is not the base and the delta',
    caughtBy: 'what the base and its delta add up to',
    adapter: mutated({
      output: (x, y0, base, state, config, context) =>
        add(y0, scale(twoFactor.delta(x, y0, base, state, config, context), 1.01)),
    }),
  },
  {
    name: 'the adapter set up last speaks for all',
    caughtBy: 'several adapters on one layer',
    adapter: mutated({
      async setup(site, original, config, context) {
        latest = await twoFactor.setup(site, original, config, context);
        return latest;
      },
      delta: (x, y0, base, _state, config, context) => twoFactor.delta(x, y0, base, latest!, config, context),
    }),
  },
  {
    name: 'V does not start at zero',
    caughtBy: 'equals the base at init',
    adapter: mutated({
      async setup(site, original, config, context) {
        const state = await twoFactor.setup(site, original, config, context);
        const V = state.params['V']!;
        return {
          ...state,
          params: { ...state.params, V: tensor(context.backend, new Float32Array(V.size).fill(1e-6), V.shape) },
        };
      },
    }),
  },
  {
    name: 'it brings a base that is not the layer\u2019s',
    caughtBy: 'equals the base at init',
    adapter: mutated({
      async setup(site, original, config, context) {
        const values = (await original.values()).map((value) => value * 1.001);
        return {
          ...(await twoFactor.setup(site, original, config, context)),
          base: hostWeight(original.shape, values),
        };
      },
    }),
  },
  {
    name: 'its merged weight is that of the base it brought, not of the layer',
    caughtBy: 'live and merged',
    adapter: mutated({
      async setup(site, original, config, context) {
        const values = (await original.values()).slice();
        return {
          ...(await twoFactor.setup(site, original, config, context)),
          base: hostWeight(original.shape, values),
        };
      },
      merge: async (original, { base, ...state }, config, site) => {
        const half = (await original.values()).map((value) => (base === undefined ? value : value / 2));
        return twoFactor.merge!(hostWeight(original.shape, half), state, config, site);
      },
    }),
  },
  {
    name: 'it keeps memory for modules that are trained beside it',
    caughtBy: 'goes with modules that are trained whole',
    adapter: mutated({
      setup: (site, original, config, context) => {
        if ((config.modulesToSave ?? []).length > 0) keep(tensor(context.backend, [1], [1]));
        return twoFactor.setup(site, original, config, context);
      },
    }),
  },
  {
    name: 'its delta overwrites the layer\u2019s bias',
    caughtBy: 'switched off',
    adapter: mutated({
      delta(x, y0, base, state, config, context) {
        if (base.bias !== undefined) {
          const { backend, storage, size } = base.bias;
          const half = backend.kernels.fill(0.5, size, 'f32');
          backend.kernels.writeSlice(storage, [size], half, [0], [size]);
          backend.free(half);
        }
        return twoFactor.delta(x, y0, base, state, config, context);
      },
    }),
  },
  {
    name: 'initial weights are random each time',
    caughtBy: 'starts from the same bits',
    adapter: mutated({
      async setup(site, original, config, context) {
        const state = await twoFactor.setup(site, original, config, context);
        const U = state.params['U']!;
        return {
          ...state,
          params: {
            ...state.params,
            U: tensor(
              context.backend,
              Float32Array.from({ length: U.size }, () => Math.random()),
              U.shape,
            ),
          },
        };
      },
    }),
  },
  {
    name: 'initial weights ignore the seed',
    caughtBy: 'starts from the same bits',
    adapter: mutated({
      async setup(site, original, config, context) {
        const state = await twoFactor.setup(site, original, config, context);
        const U = state.params['U']!;
        return {
          ...state,
          params: {
            ...state.params,
            U: tensor(
              context.backend,
              Float32Array.from({ length: U.size }, (_, i) => Math.sin(i)),
              U.shape,
            ),
          },
        };
      },
    }),
  },
  {
    name: 'U is cut from the graph',
    caughtBy: 'every parameter gets a gradient',
    adapter: mutatedDelta((_right, { x, U, V, factor }) =>
      reshape(scale(matmul(project(x, U.detach()), V, { transposeB: true }), factor), x.shape.with(-1, V.shape[0]!)),
    ),
  },
  {
    name: 'x is cut from the graph',
    caughtBy: 'central differences',
    adapter: mutatedDelta((right, { x, U, V, factor }) => {
      const cut = matmul(project(x.detach(), U), V, { transposeB: true });
      return add(scale(right, 0.5), reshape(scale(cut, factor / 2), right.shape));
    }),
  },
  {
    name: 'U is used twice, once without its gradient',
    caughtBy: 'central differences',
    adapter: mutatedDelta((right, { x, U, V, factor }) =>
      add(
        scale(right, 0.5),
        reshape(scale(matmul(project(x, U.detach()), V, { transposeB: true }), factor / 2), right.shape),
      ),
    ),
  },
  {
    name: 'numbers depend on the backend',
    caughtBy: 'are those of float64',
    backend: () => single(),
    adapter: mutatedDelta((right) => (right.backend.supports.precision === 'f32' ? scale(right, 1 + 3e-6) : right)),
  },
  {
    name: 'dropout is random each time',
    caughtBy: 'are those of float64',
    adapter: mutatedDelta((right) => scale(right, Math.random() < 0.5 ? 1 : 1.001)),
  },
  {
    name: 'dropout goes by order of calls',
    caughtBy: 'recomputed in backward',
    adapter: mutatedDelta((right) => scale(right, calls++ % 2 === 0 ? 1 : 1.5)),
  },
  {
    name: 'every step has the same mask',
    caughtBy: 'recomputed in backward',
    adapter: mutated({
      delta(x, y0, base, state, config, context) {
        const first =
          config.dropout > 0 && context.training && base.kind === 'linear'
            ? mul(
                x,
                tensor(
                  x.backend,
                  [0.5],
                  x.shape.map(() => 1),
                ),
              )
            : x;
        return twoFactor.delta(first, y0, base, state, { ...config, dropout: 0 }, context);
      },
    }),
  },
  {
    name: 'only matrices are taken',
    caughtBy: 'any rank',
    adapter: mutatedDelta((right, { x, U, V, factor }) =>
      x.shape.length < 3
        ? right
        : scale(matmul(matmul(x, U, { transposeB: true }), V, { transposeB: true }), factor / x.shape[0]!),
    ),
  },
  {
    name: 'V U is formed',
    caughtBy: 'spends no gradient',
    adapter: mutatedDelta((right, { x, U, V, factor }) => {
      const formed = scale(matmul(V, U), factor);
      return reshape(
        matmul(reshape(x, [x.size / U.shape[1]!, U.shape[1]!]), formed, { transposeB: true }),
        right.shape,
      );
    }),
  },
  { name: 'a tensor is kept in each pass', caughtBy: 'twelve steps', adapter: mutatedDelta(leaking) },
  {
    name: 'the merged weight has another scale',
    caughtBy: 'live and merged',
    adapter: mutated({
      merge: (original, state, config, site) =>
        twoFactor.merge!(original, state, { ...config, scale: config.scale * (1 + 1e-6) }, site),
    }),
  },
  {
    name: 'the merged weight is rounded to 16 bits',
    caughtBy: 'live and merged',
    backend: () => single(),
    adapter: mutated({
      async merge(original, state, config, site) {
        const merged = await twoFactor.merge!(original, state, config, site);
        return hostWeight(
          merged.shape,
          (await merged.values()).map((value) => Math.round(value * 4096) / 4096),
        );
      },
    }),
  },
  {
    name: 'the GGUF pair leaves the scale out',
    caughtBy: 'GGUF pair',
    adapter: mutated({
      files: {
        gguf: {
          ...ggufForm,
          toPair: (state, config, site) => ({ ...ggufForm.toPair(state, config, site), alpha: config.rank }),
        },
        peft: peftForm,
      },
    }),
  },
  {
    name: 'a tensor has no name in PEFT',
    caughtBy: 'PEFT form',
    adapter: mutated({ files: { gguf: ggufForm, peft: { ...peftForm, tensorNames: () => ({ U: 'two_factor_U' }) } } }),
  },
  {
    name: 'PEFT loses the rank',
    caughtBy: 'PEFT form',
    adapter: mutated({
      files: { gguf: ggufForm, peft: { ...peftForm, toConfig: ({ rank: _, ...config }) => config } },
    }),
  },
  {
    name: 'NaN is hidden',
    caughtBy: 'carries NaN',
    adapter: mutatedDelta((right) =>
      where(
        equal(right, right),
        right,
        sub(
          tensor(
            right.backend,
            [0],
            right.shape.map(() => 1),
          ),
          tensor(
            right.backend,
            [0],
            right.shape.map(() => 1),
          ),
        ),
      ),
    ),
  },
  {
    name: 'rows see each other',
    caughtBy: 'carries NaN',
    adapter: mutatedDelta((right, { x }) =>
      x.shape.length === 2 && x.shape[0]! > 1
        ? add(
            right,
            scale(
              reshape(
                matmul(
                  tensor(x.backend, new Float32Array(x.shape[0]! ** 2).fill(1), [x.shape[0]!, x.shape[0]!]),
                  right,
                ),
                right.shape,
              ),
              1e-3,
            ),
          )
        : right,
    ),
  },
  {
    name: 'parameters live somewhere else',
    caughtBy: 'saving and loading',
    adapter: mutated({
      async setup(site, original, config, context) {
        const state = await twoFactor.setup(site, original, config, context);
        const key = `${site.path}/${site.inFeatures}/${site.outFeatures}`;
        secret.set(key, context.random('secret').uniform(1, 0.5, 2));
        return { ...state, buffers: { hidden: tensor(context.backend, secret.get(key)!, [1]) } };
      },
      delta(x, y0, base, state, config, context) {
        const right = twoFactor.delta(x, y0, base, state, config, context);
        const hidden = secret.get(`${base.path}/${base.inFeatures}/${base.outFeatures}`)!;
        return scale(right, hidden[0]!);
      },
    }),
  },
  {
    name: 'unknown fields are taken',
    caughtBy: 'refuses unknown fields',
    adapter: mutated({
      parseConfig: (input) => {
        const known = Object.entries(Object(input) as object).filter(([key]) => key !== 'noSuchField');
        return twoFactor.parseConfig(Object.fromEntries(known));
      },
    }),
  },
  {
    name: 'errors name no field',
    caughtBy: 'naming rank',
    adapter: mutated({
      parseConfig: (input) => {
        try {
          return twoFactor.parseConfig(input);
        } catch {
          throw new AdapterError('ADAPTER_CONFIG', 'something is wrong');
        }
      },
    }),
  },
  {
    name: 'the configuration keeps no rank',
    caughtBy: 'survives JSON',
    adapter: mutated({ parseConfig: (input) => ({ ...twoFactor.parseConfig(input), rank: 2 + (calls++ % 3) }) }),
  },
];

describe('a wrong adapter fails', () => {
  it.each(mutations)('$name', async ({ caughtBy, adapter, backend = () => reference() }) => {
    const { runner, tests } = collectingRunner();
    adapterConformance(runner, { adapter, configs, badConfigs: [[{ rank: 0 }, 'rank']], backends: { one: backend } });
    const broken = tests.filter(({ path }) => path.at(-1)!.includes(caughtBy));
    expect(broken.length).toBeGreaterThan(0);
    const failures: unknown[] = [];
    for (const { run } of broken) await run().catch((error: unknown) => failures.push(error));
    expect(failures).not.toEqual([]);
    expect(String(failures[0])).toMatch(/ConformanceError|CoreError/);
  });
});
