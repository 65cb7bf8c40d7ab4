import type { Site } from '@lowrank/core';
import type { CausalLmConfig } from '../causal-lm/config.ts';

/** What an adapter file is held against: a loaded model, or a model's file of which only the header was read. */
export interface Base {
  readonly config: CausalLmConfig;
  /** Whether the output head is the embedding's table. */
  readonly tied: boolean;
}

/** Every place in such a model where an adapter can sit, as `adapterSites` lists them for a loaded one. */
export function sitesOf({ config }: Base): Site[] {
  const { layers, hiddenSize, feedForwardSize, heads, kvHeads, headSize, vocabularySize } = config;
  const site = (kind: Site['kind'], path: string, outFeatures: number, inFeatures: number): Site => ({
    kind,
    path,
    inFeatures,
    outFeatures,
  });
  const blocks = Array.from({ length: layers }, (_, n) => {
    const linear = (name: string, rows: number, columns: number): Site =>
      site('linear', `model.layers.${n}.${name}`, rows, columns);
    return [
      linear('self_attn.q_proj', heads * headSize, hiddenSize),
      linear('self_attn.k_proj', kvHeads * headSize, hiddenSize),
      linear('self_attn.v_proj', kvHeads * headSize, hiddenSize),
      linear('self_attn.o_proj', hiddenSize, heads * headSize),
      linear('mlp.gate_proj', feedForwardSize, hiddenSize),
      linear('mlp.up_proj', feedForwardSize, hiddenSize),
      linear('mlp.down_proj', hiddenSize, feedForwardSize),
    ];
  });
  return [
    site('embedding', 'model.embed_tokens', hiddenSize, vocabularySize),
    ...blocks.flat(),
    site('linear', 'lm_head', vocabularySize, hiddenSize),
  ];
}
