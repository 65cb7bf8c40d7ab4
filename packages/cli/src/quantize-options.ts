import { fourBitBlockSizes, type FourBitBlockSize, type FourBitOptions } from '@lowrank/core';
import { Option, type Command } from 'commander';

/** How the model's linear layers are held; without `quantize` as they are in the file. */
export interface QuantizeOptions {
  readonly quantize?: 'nf4' | 'fp4';
  readonly quantizeBlockSize: FourBitBlockSize;
  readonly doubleQuantization: boolean;
}

export function addQuantizeOptions(command: Command): Command {
  return command
    .addOption(new Option('--quantize <format>', "hold the model's linear layers in 4 bits").choices(['nf4', 'fp4']))
    .addOption(
      new Option('--quantize-block-size <n>', 'weights that share a scale')
        .choices(fourBitBlockSizes.map(String))
        .argParser(Number)
        .default(64),
    )
    .option('--no-double-quantization', 'keep the scales in f32: 4.5 bits a weight instead of 4.127');
}

/** What `loadCausalLm` takes. */
export function quantization({ quantize: format, quantizeBlockSize: blockSize, doubleQuantization }: QuantizeOptions): {
  readonly quantize?: FourBitOptions;
} {
  return format === undefined ? {} : { quantize: { format, blockSize, doubleQuantization } };
}
