import type { Adapter, AdapterConfig, AdapterFiles } from '@lowrank/core';
import type { QloraConfig, QloraQuantization } from './config.ts';

/**
 * The files of the adapter inside: how the base was stored while training is in none of them, and comes back as the adapter
 * has it by default.
 */
export function qloraFiles<Inner extends AdapterConfig>(
  { files: { gguf, peft } }: Adapter<Inner>,
  quantization: QloraQuantization,
): AdapterFiles<QloraConfig<Inner>> {
  const onTop = (config: Inner): QloraConfig<Inner> => ({ ...config, quantization });
  return {
    gguf:
      'unsupported' in gguf
        ? gguf
        : {
            toPair: (state, config, site) => gguf.toPair(state, onOriginal(config), site),
            fromPair(pair, site) {
              const { state, config } = gguf.fromPair(pair, site);
              return { state, config: onTop(config) };
            },
            ...(gguf.joinConfigs === undefined
              ? {}
              : { joinConfigs: (bySite: ReadonlyMap<string, Inner>) => onTop(gguf.joinConfigs!(bySite)) }),
          },
    peft: 'unsupported' in peft ? peft : { ...peft, fromConfig: (config) => onTop(peft.fromConfig(config)) },
  };
}

/**
 * After LoftQ the pair stands on a base that lacks A0 and B0, as after PiSSA; llama.cpp has the original, and is given the difference
 * to the start. PEFT has the quantized base itself, and is given A and B.
 */
function onOriginal<Inner extends AdapterConfig>(config: QloraConfig<Inner>): QloraConfig<Inner> {
  return config.quantization.init === 'loftq' ? { ...config, init: 'pissa' } : config;
}
