/**
 * VeRA, vector-based random matrix adaptation (Kopiczko et al. 2024, arXiv 2310.11454):
 * y = W x + b_vec o (B (d_vec o (A x))), with A and B random, frozen and the same for all layers. Trained are two
 * vectors a layer: `d` [rank], 0.1 at the start, and `b` [out], 0 at the start, so that it begins at the base.
 *
 * A and B are a function of `projectionSeed` alone; no file holds them.
 */
import {
  ADAPTER_INTERFACE_VERSION,
  AdapterError,
  finiteNumber,
  hostValues,
  hostWeight,
  keep,
  matmul,
  moduleNames,
  mul,
  RandomStream,
  readConfig,
  reshape,
  tensor,
  wholeNumber,
  type Adapter,
  type ConfiguredAdapter,
  type Site,
} from '@lowrank/core';

export interface VeraConfig {
  /** Rank of the shared projections. Default 256. */
  readonly rank: number;
  /** What `d` starts at. Default 0.1. */
  readonly dInitial: number;
  /** Decides A and B. Default 0. */
  readonly projectionSeed: number;
  /** Of the adapter's input, while training. Default 0. */
  readonly dropout: number;
  readonly targetModules: readonly string[] | string;
  readonly excludeModules: readonly string[] | string;
}

const fields = {
  rank: wholeNumber(256, 1, 65536),
  dInitial: finiteNumber(0.1, 'a finite number', () => true),
  projectionSeed: wholeNumber(0, 0, Number.MAX_SAFE_INTEGER),
  dropout: finiteNumber(0, 'a probability from 0 to below 1', (p) => p >= 0 && p < 1),
  targetModules: moduleNames(['q_proj', 'v_proj'], 1),
  excludeModules: moduleNames([], 0),
};

/**
 * A shared projection [rows, columns], Kaiming uniform: within sqrt(6 / columns). Each row has a stream of its own, so layers of
 * other widths see the beginning of the same rows (section 3.3: one pair for layers of all shapes).
 */
function projection(name: 'A' | 'B', rows: number, columns: number, seed: number): Float32Array {
  const bound = Math.sqrt(6 / columns);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    values.set(new RandomStream(seed, `vera/${name}/${row}`).uniform(columns, -bound, bound), row * columns);
  }
  return values;
}

export const veraAdapter: Adapter<VeraConfig> = {
  type: 'vera',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: (input) => readConfig('vera', input, fields),

  async setup(site, _original, { rank, dInitial }, { backend }) {
    if (site.kind !== 'linear') {
      throw new AdapterError('ADAPTER_SITE', `vera: ${site.path} is an embedding; VeRA adapts linear layers`, {
        path: site.path,
      });
    }
    return {
      params: {
        d: tensor(backend, new Float32Array(rank).fill(dInitial), [rank]),
        b: tensor(backend, new Float32Array(site.outFeatures), [site.outFeatures]),
      },
      buffers: {},
    };
  },

  delta(x, _y0, { inFeatures, outFeatures }, { params }, { rank, projectionSeed, dropout }, context) {
    const shared = (name: 'A' | 'B', rows: number, columns: number) =>
      context.shared(`${name} [${rows}, ${columns}]`, () =>
        keep(tensor(x.backend, projection(name, rows, columns, projectionSeed), [rows, columns])),
      );
    const input = dropout === 0 ? x : context.dropout(x, dropout);
    const rows = reshape(input, [x.size / inFeatures, inFeatures]);
    const inner = mul(matmul(rows, shared('A', rank, inFeatures), { transposeB: true }), params['d']!);
    const outer = mul(matmul(inner, shared('B', outFeatures, rank), { transposeB: true }), params['b']!);
    return reshape(outer, x.shape.with(-1, outFeatures));
  },

  /** W + diag(b) B diag(d) A. */
  async merge(original, state, { rank, projectionSeed }, { path, inFeatures, outFeatures }: Site) {
    const d = hostValues('vera', state.params['d'], [rank], `${path}.d`);
    const b = hostValues('vera', state.params['b'], [outFeatures], `${path}.b`);
    const A = projection('A', rank, inFeatures, projectionSeed);
    const B = projection('B', outFeatures, rank, projectionSeed);
    const weight = await original.values();
    const row = new Float64Array(inFeatures);
    return hostWeight(
      original.shape,
      weight.map((_, at) => {
        const [o, i] = [Math.floor(at / inFeatures), at % inFeatures];
        if (i === 0) {
          row.fill(0);
          for (let k = 0; k < rank; k++) {
            const factor = b[o]! * B[o * rank + k]! * d[k]!;
            for (let j = 0; j < inFeatures; j++) row[j]! += factor * A[k * inFeatures + j]!;
          }
        }
        return weight[at]! + row[i]!;
      }),
    );
  },

  files: {
    gguf: {
      unsupported: 'a llama.cpp file of low-rank pairs would hold the random projections of every layer; merge it',
    },
    peft: { unsupported: "PEFT draws VeRA's projections from PyTorch's generator, which has other numbers" },
  },
};

/** VeRA with options, for `inject`. */
export function vera(options?: Partial<VeraConfig>): ConfiguredAdapter<VeraConfig> {
  return { adapter: veraAdapter, config: veraAdapter.parseConfig(options) };
}

export default veraAdapter;
