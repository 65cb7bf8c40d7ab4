import type { RopeSpec } from '@lowrank/core';

/**
 * What sets one architecture apart from another: a row in the table. Names are Hugging Face's on our side and GGUF's in
 * the file; `{n}` stands for the layer's number.
 */
export interface Architecture {
  /** `general.architecture`, also the prefix of the file's own keys. */
  readonly name: string;
  /** Which elements rotary embedding turns together in this architecture's GGUFs. */
  readonly pairing: RopeSpec['pairing'];
  /** Module path to tensor name, without `.weight` and `.bias`. */
  readonly tensors: Readonly<Record<string, string>>;
}

/** The Llama family (Touvron et al. 2023, arXiv 2302.13971): SmolLM2, Llama 1 to 3, Mistral. */
const llama: Architecture = {
  name: 'llama',
  pairing: 'interleaved',
  tensors: {
    'model.embed_tokens': 'token_embd',
    'model.layers.{n}.input_layernorm': 'blk.{n}.attn_norm',
    'model.layers.{n}.self_attn.q_proj': 'blk.{n}.attn_q',
    'model.layers.{n}.self_attn.k_proj': 'blk.{n}.attn_k',
    'model.layers.{n}.self_attn.v_proj': 'blk.{n}.attn_v',
    'model.layers.{n}.self_attn.o_proj': 'blk.{n}.attn_output',
    'model.layers.{n}.post_attention_layernorm': 'blk.{n}.ffn_norm',
    'model.layers.{n}.mlp.gate_proj': 'blk.{n}.ffn_gate',
    'model.layers.{n}.mlp.up_proj': 'blk.{n}.ffn_up',
    'model.layers.{n}.mlp.down_proj': 'blk.{n}.ffn_down',
    'model.norm': 'output_norm',
    lm_head: 'output',
  },
};

/** Every architecture that is known. */
export const architectures: ReadonlyMap<string, Architecture> = new Map([llama].map((row) => [row.name, row]));
