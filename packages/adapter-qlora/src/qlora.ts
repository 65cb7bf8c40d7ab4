import type { AdapterConfig, ConfiguredAdapter } from '@lowrank/core';
import { buildQlora } from './build.ts';
import { parseQloraQuantization, type QloraConfig, type QloraQuantizationOptions } from './config.ts';
import { qloraAdapter } from './qlora-adapter.ts';
import { quantizeModel } from './quantize-model.ts';
import { wrapQlora } from './wrap.ts';

/**
 * The adapter inside and how its base is stored: `format` 'nf4', `blockSize` 64, `doubleQuantization` true, `init` 'adapter',
 * `loftqIterations` 1.
 */
export interface QloraOptions<Inner extends AdapterConfig = AdapterConfig> extends QloraQuantizationOptions {
  /** What is trained on the quantized base: `lora({ rank: 8 })`, `dora()`, one of your own. */
  readonly adapter: ConfiguredAdapter<Inner>;
}

/** `qlora` and what hangs on it. */
export interface Qlora {
  /**
   * An adapter over a base in 4 bits, for `inject`. Target modules and all else are those of the adapter inside.
   * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
   */
  <Inner extends AdapterConfig>(options: QloraOptions<Inner>): ConfiguredAdapter<QloraConfig<Inner>>;
  /** Puts it on one layer. */
  readonly wrap: typeof wrapQlora;
  /** A layer in 4 bits with an adapter, from a weight. */
  readonly build: typeof buildQlora;
  /** Turns a whole model's weights to 4 bits for good, so that the original takes no memory. */
  readonly quantizeModel: typeof quantizeModel;
}

/** QLoRA (Dettmers et al. 2023, arXiv 2305.14314); over DoRA it is QDoRA. */
export const qlora: Qlora = /* @__PURE__ */ Object.assign(configure, {
  wrap: wrapQlora,
  build: buildQlora,
  quantizeModel,
});

function configure<Inner extends AdapterConfig>({
  adapter: { adapter, config },
  ...options
}: QloraOptions<Inner>): ConfiguredAdapter<QloraConfig<Inner>> {
  const quantization = parseQloraQuantization(options);
  return { adapter: qloraAdapter(adapter, quantization), config: { ...config, quantization } };
}
