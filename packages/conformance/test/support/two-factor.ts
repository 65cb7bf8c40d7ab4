/** A small adapter of the suite's own: y0 + scale V (U dropout(x)), a third party's in style. Tests break it in many ways. */
import {
  add,
  AdapterError,
  finiteNumber,
  hostWeight,
  keep,
  matmul,
  moduleNames,
  permute,
  readConfig,
  reshape,
  scale,
  tensor,
  wholeNumber,
  gather,
  type Adapter,
  type AdapterConfig,
  type ConfiguredAdapter,
  type HostArray,
  type HostState,
  type Tensor,
} from '@lowrank/core';

export interface TwoFactorConfig extends AdapterConfig {
  readonly rank: number;
  readonly scale: number;
  readonly dropout: number;
}

const fields = {
  rank: wholeNumber(3, 1, 100),
  scale: finiteNumber(0.75, 'a number', () => true),
  dropout: finiteNumber(0, 'a probability', (p) => p >= 0 && p < 1),
  targetModules: moduleNames(['q_proj'], 1),
  excludeModules: moduleNames([], 0),
};

/** scale V U as numbers, [out, in]. */
function change({ params }: HostState, factor: number): Float64Array {
  const [u, v] = [params['U']!, params['V']!];
  const [rank, columns] = u.shape as [number, number];
  const rows = v.shape[0]!;
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += v.data[row * rank + k]! * u.data[k * columns + column]!;
    return factor * sum;
  });
}

type Files = Adapter<TwoFactorConfig>['files'];

export const ggufForm: Exclude<Files['gguf'], { unsupported: string }> = {
  toPair: ({ params }, config, { kind }) => ({
    alpha: config.scale * config.rank,
    a: kind === 'embedding' ? turned(params['U']!) : params['U']!,
    b: params['V']!,
  }),
  fromPair: ({ alpha, a, b }, { kind, path }) => {
    const rank = b.shape[1]!;
    const config = { rank, scale: alpha / rank, dropout: 0, targetModules: [path], excludeModules: [] };
    return { state: { params: { U: kind === 'embedding' ? turned(a) : a, V: b }, buffers: {} }, config };
  },
};

function turned({ shape, data }: HostArray): HostArray {
  const [rows, columns] = shape as [number, number];
  const values = Float32Array.from(data, (_, at) => data[(at % rows) * columns + Math.floor(at / rows)]!);
  return { format: 'f32', shape: [columns, rows], data: values };
}

export const peftForm: Exclude<Files['peft'], { unsupported: string }> = {
  peftType: 'TWO_FACTOR',
  tensorNames: () => ({ U: 'two_factor_U', V: 'two_factor_V' }),
  toConfig: (config) => ({ ...config }),
  fromConfig: ({ peft_type: _, ...config }) => readConfig('two-factor', config, fields),
};

export const twoFactor: Adapter<TwoFactorConfig> = {
  type: 'two-factor',
  interfaceVersion: 1,
  parseConfig: (input) => readConfig('two-factor', input, fields),

  setup(site, _original, { rank }, { backend, random }) {
    if (rank > 50 && site.inFeatures < 10) {
      throw new AdapterError('ADAPTER_SITE', 'too narrow for such a rank', { path: site.path });
    }
    const U = tensor(backend, random('U').uniform(rank * site.inFeatures, -0.5, 0.5), [rank, site.inFeatures]);
    const V = tensor(backend, new Float32Array(site.outFeatures * rank), [site.outFeatures, rank]);
    return Promise.resolve({ params: { U, V }, buffers: {} });
  },

  delta(x, _y0, base, { params }, config, context) {
    const [U, V] = [params['U']!, params['V']!];
    const inner =
      base.kind === 'embedding'
        ? lookUp(x, U)
        : project(config.dropout > 0 ? context.dropout(x, config.dropout) : x, U);
    const leading = base.kind === 'embedding' ? x.shape : x.shape.slice(0, -1);
    return reshape(matmul(scale(inner, config.scale), V, { transposeB: true }), [...leading, base.outFeatures]);
  },

  async merge(original, state, config, site) {
    const [rows, columns] = original.shape;
    const added = change(state, config.scale);
    const at = (i: number): number => (site.kind === 'linear' ? i : (i % columns) * rows + Math.floor(i / columns));
    return hostWeight(
      [rows, columns],
      (await original.values()).map((value, i) => value + added[at(i)]!),
    );
  },

  files: { gguf: ggufForm, peft: peftForm },
};

/** As `lora({ rank: 8 })`. */
export const configured = (options?: Partial<TwoFactorConfig>): ConfiguredAdapter<TwoFactorConfig> => ({
  adapter: twoFactor,
  config: twoFactor.parseConfig(options ?? {}),
});

export function project(x: Tensor, U: Tensor): Tensor {
  const inFeatures = U.shape[1]!;
  return matmul(reshape(x, [x.size / inFeatures, inFeatures]), U, { transposeB: true });
}

function lookUp(ids: Tensor, U: Tensor): Tensor {
  return gather(permute(U, [1, 0]), reshape(ids, [ids.size]));
}

/** The adapter with parts replaced. */
export function mutated(change: Partial<Adapter<TwoFactorConfig>>): Adapter<TwoFactorConfig> {
  return { ...twoFactor, ...change };
}

/** Only the delta of linear layers replaced: `make` gets the right one. */
export function mutatedDelta(
  make: (right: Tensor, parts: { x: Tensor; y0: Tensor; U: Tensor; V: Tensor; factor: number }) => Tensor,
): Adapter<TwoFactorConfig> {
  return mutated({
    delta(x, y0, base, state, config, context) {
      const right = twoFactor.delta(x, y0, base, state, config, context);
      if (base.kind === 'embedding') return right;
      return make(right, { x, y0, U: state.params['U']!, V: state.params['V']!, factor: config.scale });
    },
  });
}

/** Adds something that stays behind. */
export function leaking(right: Tensor): Tensor {
  keep(add(right, right));
  return right;
}
