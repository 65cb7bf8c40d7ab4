import {
  ADAPTER_INTERFACE_VERSION,
  eachRowOfChange,
  hostPair,
  hostWeight,
  lowRankDelta,
  moduleNames,
  readConfig,
  startLowRank,
  tensor,
  transposedMatrix,
  wholeNumber,
  type Adapter,
  type AdapterConfig,
  type ConfiguredAdapter,
  type HostArray,
  type Site,
} from '@lowrank/core';

export interface PairConfig extends AdapterConfig {
  readonly rank: number;
}

/** The smallest adapter with something of everything: y = y0 + B A x. */
export const pairAdapter: Adapter<PairConfig> = {
  type: 'pair',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: (input) =>
    readConfig('pair', input, {
      rank: wholeNumber(2, 1, 64),
      targetModules: moduleNames(['proj'], 1),
      excludeModules: moduleNames([], 0),
    }),
  async setup(site, _original, { rank }, { backend, random }) {
    const { a, b } = startLowRank(site, { rank, init: 'kaiming' }, random);
    return {
      params: { A: tensor(backend, a, [rank, site.inFeatures]), B: tensor(backend, b, [site.outFeatures, rank]) },
      buffers: {},
    };
  },
  delta: (x, _y0, _base, { params }) => lowRankDelta(x, { A: params['A']!, B: params['B']! }),
  async merge(original, state, { rank }, site) {
    const merged = (await original.values()).slice();
    const columns = original.shape[1];
    eachRowOfChange(hostPair('pair', state, rank, site), rank, 1, site, (change, row) => {
      for (let i = 0; i < columns; i++) merged[row * columns + i]! += change[i]!;
    });
    return hostWeight(original.shape, merged);
  },
  files: {
    gguf: {
      toPair: ({ params }, { rank }, site) => ({ alpha: rank, a: turned(params['A']!, site), b: params['B']! }),
      fromPair({ a, b }, site) {
        const config = { rank: b.shape[1]!, targetModules: [site.path], excludeModules: [] };
        return { state: { params: { A: turned(a, site), B: b }, buffers: {} }, config };
      },
      joinConfigs: (bySite) => ({ ...bySite.values().next().value!, targetModules: [...bySite.keys()] }),
    },
    peft: {
      peftType: 'PAIR',
      tensorNames: () => ({ A: 'pair_A.weight', B: 'pair_B.weight' }),
      toConfig: ({ rank, targetModules, excludeModules }) => ({ r: rank, targetModules, excludeModules }),
      fromConfig: ({ r, targetModules, excludeModules }) =>
        pairAdapter.parseConfig({ rank: r, targetModules, excludeModules }),
    },
  },
};

export const pair = (options?: Partial<PairConfig>): ConfiguredAdapter<PairConfig> => ({
  adapter: pairAdapter,
  config: pairAdapter.parseConfig(options),
});

function turned(array: HostArray, { kind }: Site): HostArray {
  const data = Float32Array.from(array.data);
  if (kind === 'linear') return { format: 'f32', shape: array.shape, data };
  const [rows, columns] = array.shape as [number, number];
  const values = Float32Array.from(transposedMatrix(Float64Array.from(data), rows, columns));
  return { format: 'f32', shape: [columns, rows], data: values };
}
