import type { ArrayFormat, HostArray } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { ggufName } from '../architectures/names.ts';
import type { CausalLmConfig } from './config.ts';

/** What is known of a tensor before it is read. */
export interface WeightInfo {
  readonly shape: readonly number[];
  /** The file's name of its type. */
  readonly type: string;
  /** What reading it gives; undefined for a type that cannot be read. */
  readonly format: ArrayFormat | undefined;
  readonly byteLength: number | undefined;
}

/** Where a model's tensors come from, whatever kind of file that is. */
export interface WeightSource {
  /** What to call it in messages. */
  readonly name: string;
  readonly config: CausalLmConfig;
  readonly tensors: ReadonlyMap<string, WeightInfo>;
  /** Whether the output head is the embedding's table. */
  readonly tied: boolean;
  /** What the file calls a module's weight or bias. */
  nameOf(path: string, part: 'weight' | 'bias'): string;
  /** The name of Llama 3's divisors of RoPE's frequencies, in files that hold them as a tensor. */
  readonly ropeFactorsName?: string;
  read(name: string): Promise<HostArray>;
}

/** A GGUF's tensors. */
export function ggufWeights(file: GgufFile, config: CausalLmConfig): WeightSource {
  return {
    name: file.source.name,
    config,
    tensors: file.tensors,
    tied: isTied(file),
    nameOf: (path, part) => `${ggufName(config.architecture, path)}.${part}`,
    ropeFactorsName: 'rope_freqs.weight',
    read: (name) => file.read(name),
  };
}

/** Whether a GGUF's output head is the embedding's table: it has none of its own then. */
export function isTied(file: GgufFile): boolean {
  return !file.tensors.has('output.weight');
}
