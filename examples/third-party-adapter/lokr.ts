/**
 * LoKr (Yeh et al. 2023, arXiv 2309.14859): the change of the weight is a Kronecker product, s kron(C, B A), with
 * C [out1, in1], B [out2, rank] and A [rank, in2]; out = out1 out2, in = in1 in2, and s = alpha / rank. C is 0 at the start.
 *
 * kron(C, B A) x is never formed: with x as a matrix X [in1, in2] it is C (X A^T) B^T.
 */
import {
  AdapterError,
  ADAPTER_INTERFACE_VERSION,
  finiteNumber,
  hostValues,
  hostWeight,
  matmul,
  moduleNames,
  readConfig,
  reshape,
  scale as scaleBy,
  tensor,
  wholeNumber,
  type Adapter,
  type AdapterState,
  type ConfiguredAdapter,
  type HostState,
  type Site,
} from '@lowrank/core';

export interface LokrConfig {
  /** Rank of B A. Default 8. */
  readonly rank: number;
  /** Default 8. */
  readonly alpha: number;
  readonly targetModules: readonly string[] | string;
  readonly excludeModules: readonly string[] | string;
}

const fields = {
  rank: wholeNumber(8, 1, 65536),
  alpha: finiteNumber(8, 'a finite number above 0', (alpha) => alpha > 0),
  targetModules: moduleNames(['q_proj', 'v_proj'], 1),
  excludeModules: moduleNames([], 0),
};

/** The largest divisor that is at most the square root, and what it leaves: 576 = 24 * 24, 1536 = 32 * 48. */
function factorize(size: number): readonly [number, number] {
  for (let divisor = Math.floor(Math.sqrt(size)); divisor > 1; divisor--) {
    if (size % divisor === 0) return [divisor, size / divisor];
  }
  return [1, size];
}

interface Sizes {
  readonly in1: number;
  readonly in2: number;
  readonly out1: number;
  readonly out2: number;
}

function sizesOf({ inFeatures, outFeatures }: Pick<Site, 'inFeatures' | 'outFeatures'>): Sizes {
  const [in1, in2] = factorize(inFeatures);
  const [out1, out2] = factorize(outFeatures);
  return { in1, in2, out1, out2 };
}

const parts = { C: ['out1', 'in1'], B: ['out2', 'rank'], A: ['rank', 'in2'] } as const;

function read(state: HostState, part: keyof typeof parts, site: Site, rank: number): Float64Array {
  const sizes = { ...sizesOf(site), rank };
  const shape = parts[part].map((name) => sizes[name]);
  return hostValues('lokr', state.params[part], shape, `${site.path}.${part}`);
}

export const lokrAdapter: Adapter<LokrConfig> = {
  type: 'lokr',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: (input) => readConfig('lokr', input, fields),

  async setup(site, _original, { rank }, { backend, random }): Promise<AdapterState> {
    if (site.kind !== 'linear') {
      throw new AdapterError('ADAPTER_SITE', `lokr: ${site.path} is an embedding; LoKr adapts linear layers`, {
        path: site.path,
      });
    }
    const { in1, in2, out1, out2 } = sizesOf(site);
    if (2 * rank >= Math.max(out2, in2)) {
      throw new AdapterError(
        'ADAPTER_SITE',
        `lokr: rank ${rank} is no gain for ${site.path}, whose second factor is [${out2}, ${in2}]; give a smaller rank`,
        { path: site.path, value: rank },
      );
    }
    const uniform = (purpose: string, rows: number, columns: number): Float32Array =>
      random(purpose).uniform(rows * columns, -1 / Math.sqrt(columns), 1 / Math.sqrt(columns));
    return {
      params: {
        C: tensor(backend, new Float32Array(out1 * in1), [out1, in1]),
        B: tensor(backend, uniform('B', out2, rank), [out2, rank]),
        A: tensor(backend, uniform('A', rank, in2), [rank, in2]),
      },
      buffers: {},
    };
  },

  delta(x, _y0, site, { params }, { rank, alpha }) {
    const { in1, in2, out1, out2 } = sizesOf(site);
    const rows = x.size / site.inFeatures;
    const inner = scaleBy(matmul(reshape(x, [rows * in1, in2]), params['A']!, { transposeB: true }), alpha / rank);
    const right = reshape(matmul(inner, params['B']!, { transposeB: true }), [rows, in1, out2]);
    return reshape(matmul(params['C']!, right), x.shape.with(-1, out1 * out2));
  },

  /** W + s kron(C, B A). */
  async merge(original, state, { rank, alpha }, site) {
    const { in1, in2, out2 } = sizesOf(site);
    const C = read(state, 'C', site, rank);
    const B = read(state, 'B', site, rank);
    const A = read(state, 'A', site, rank);
    const small = new Float64Array(out2 * in2);
    for (let o = 0; o < out2; o++) {
      for (let k = 0; k < rank; k++) {
        for (let i = 0; i < in2; i++) small[o * in2 + i]! += (alpha / rank) * B[o * rank + k]! * A[k * in2 + i]!;
      }
    }
    const weight = await original.values();
    return hostWeight(
      original.shape,
      weight.map((value, at) => {
        const [o, i] = [Math.floor(at / site.inFeatures), at % site.inFeatures];
        const large = C[Math.floor(o / out2) * in1 + Math.floor(i / in2)]!;
        return value + large * small[(o % out2) * in2 + (i % in2)]!;
      }),
    );
  },

  files: {
    gguf: { unsupported: 'as a low-rank pair, a Kronecker product has a rank of hundreds; merge it into the model' },
    peft: {
      peftType: 'LOKR',
      tensorNames: () => ({ C: 'lokr_w1', A: 'lokr_w2_b', B: 'lokr_w2_a' }),
      toConfig: ({ rank, alpha, targetModules, excludeModules }) => ({
        r: rank,
        alpha,
        target_modules: targetModules,
        exclude_modules: excludeModules.length === 0 ? null : excludeModules,
        // `setup` refuses the ranks from which on PEFT keeps B A as one matrix.
        decompose_both: false,
        decompose_factor: -1,
      }),
      fromConfig: ({ r, alpha, target_modules: targets, exclude_modules: excluded }) =>
        lokrAdapter.parseConfig({
          rank: r,
          alpha,
          targetModules: targets ?? undefined,
          excludeModules: excluded ?? undefined,
        }),
    },
  },
};

/** LoKr with options, for `inject`. */
export function lokr(options?: Partial<LokrConfig>): ConfiguredAdapter<LokrConfig> {
  return { adapter: lokrAdapter, config: lokrAdapter.parseConfig(options) };
}

export default lokrAdapter;
