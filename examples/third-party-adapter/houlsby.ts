/**
 * The bottleneck adapter (Houlsby et al. 2019, arXiv 1902.00751), behind a layer: y = y0 + U relu(D y0 + c) + e, with y0 the
 * layer's output. U and e are 0 at the start, so that it begins at the base.
 *
 * What it adds is no linear function of the layer's input: no weight does the same, and so it has no `merge`.
 */
import {
  add,
  ADAPTER_INTERFACE_VERSION,
  matmul,
  maximum,
  moduleNames,
  readConfig,
  reshape,
  tensor,
  wholeNumber,
  type Adapter,
  type ConfiguredAdapter,
} from '@lowrank/core';

export interface HoulsbyConfig {
  /** Width of the bottleneck. Default 16. */
  readonly size: number;
  readonly targetModules: readonly string[] | string;
  readonly excludeModules: readonly string[] | string;
}

const fields = {
  size: wholeNumber(16, 1, 65536),
  // The paper's places: behind the attention's and the feed-forward's last projection.
  targetModules: moduleNames(['o_proj', 'down_proj'], 1),
  excludeModules: moduleNames([], 0),
};

export const houlsbyAdapter: Adapter<HoulsbyConfig> = {
  type: 'houlsby',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: (input) => readConfig('houlsby', input, fields),

  async setup({ outFeatures }, _original, { size }, { backend, random }) {
    const bound = 1 / Math.sqrt(outFeatures);
    return {
      params: {
        down: tensor(backend, random('down').uniform(size * outFeatures, -bound, bound), [size, outFeatures]),
        downBias: tensor(backend, new Float32Array(size), [size]),
        up: tensor(backend, new Float32Array(outFeatures * size), [outFeatures, size]),
        upBias: tensor(backend, new Float32Array(outFeatures), [outFeatures]),
      },
      buffers: {},
    };
  },

  delta(_x, y0, { outFeatures }, { params }) {
    const rows = reshape(y0, [y0.size / outFeatures, outFeatures]);
    const inner = add(matmul(rows, params['down']!, { transposeB: true }), params['downBias']!);
    const zero = tensor(y0.backend, [0], [1]);
    const outer = matmul(maximum(inner, zero), params['up']!, { transposeB: true });
    return reshape(add(outer, params['upBias']!), y0.shape);
  },

  files: {
    gguf: { unsupported: 'a bottleneck with an activation is no low-rank change of a weight' },
    peft: { unsupported: 'PEFT has no bottleneck adapter' },
  },
};

/** A bottleneck with options, for `inject`. */
export function houlsby(options?: Partial<HoulsbyConfig>): ConfiguredAdapter<HoulsbyConfig> {
  return { adapter: houlsbyAdapter, config: houlsbyAdapter.parseConfig(options) };
}

export default houlsbyAdapter;
