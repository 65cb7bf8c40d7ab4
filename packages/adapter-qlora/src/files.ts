import type { Adapter, AdapterConfig, AdapterFiles } from '@lowrank/core';
import type { Quantization, QloraConfig } from './config.ts';

/**
 * The files of the adapter inside: how the base was stored while training is in none of them, and comes back as the adapter
 * has it by default.
 */
export function qloraFiles<Inner extends AdapterConfig>(
  { files: { gguf, peft } }: Adapter<Inner>,
  quantization: Quantization,
): AdapterFiles<QloraConfig<Inner>> {
  const onTop = (config: Inner): QloraConfig<Inner> => ({ ...config, quantization });
  return {
    gguf:
      'unsupported' in gguf
        ? gguf
        : {
            toPair: (state, config, site) => gguf.toPair(state, config, site),
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
