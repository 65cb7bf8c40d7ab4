import {
  addInto,
  attention,
  Module,
  rope,
  scope,
  swiglu,
  type ForwardPass,
  type Linear,
  type RmsNorm,
  type Tensor,
} from '@lowrank/core';
import type { CausalLmConfig } from './config.ts';

/** What all layers of one forward pass share. */
export interface LayerInputs {
  readonly cos: Tensor;
  readonly sin: Tensor;
  readonly positions: Tensor;
  readonly segments: Int32Array;
  readonly pass: ForwardPass;
  /** Puts a layer's new keys and values behind those of earlier tokens; absent where all tokens are new. */
  readonly extend?: (layer: number, k: Tensor, v: Tensor) => { k: Tensor; v: Tensor };
}

export interface AttentionParts {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;
}

export interface MlpParts {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;
}

/** Causal grouped-query self-attention with rotary positions. */
export class SelfAttention extends Module {
  readonly #parts: AttentionParts;
  readonly #config: CausalLmConfig;
  readonly #layer: number;

  constructor(parts: AttentionParts, config: CausalLmConfig, layer: number) {
    super();
    this.#parts = parts;
    this.#config = config;
    this.#layer = layer;
    for (const [name, part] of Object.entries(parts)) this.child(name, part as Linear);
  }

  forward(x: Tensor, inputs: LayerInputs): Tensor {
    const { q_proj, k_proj, v_proj, o_proj } = this.#parts;
    const { heads, kvHeads, pairing } = this.#config;
    const { cos, sin, positions, segments, pass, extend } = inputs;
    const turn = (t: Tensor, count: number): Tensor => rope(t, { heads: count, cos, sin, positions, pairing });
    const q = turn(q_proj.forward(x, pass), heads);
    const own = { k: turn(k_proj.forward(x, pass), kvHeads), v: v_proj.forward(x, pass) };
    const { k, v } = extend === undefined ? own : extend(this.#layer, own.k, own.v);
    return o_proj.forward(attention(q, k, v, { heads, kvHeads, segments }), pass);
  }
}

/** down(silu(gate(x)) * up(x)). */
export class Mlp extends Module {
  readonly #parts: MlpParts;

  constructor(parts: MlpParts) {
    super();
    this.#parts = parts;
    for (const [name, part] of Object.entries(parts)) this.child(name, part as Linear);
  }

  forward(x: Tensor, pass: ForwardPass): Tensor {
    const { gate_proj, up_proj, down_proj } = this.#parts;
    return down_proj.forward(swiglu(gate_proj.forward(x, pass), up_proj.forward(x, pass)), pass);
  }
}

/** One block of the residual stream: attention, then the feed-forward part, each behind its norm. */
export class DecoderLayer extends Module {
  readonly #attention: SelfAttention;
  readonly #mlp: Mlp;
  readonly #inputNorm: RmsNorm;
  readonly #postNorm: RmsNorm;

  constructor(parts: { attention: SelfAttention; mlp: Mlp; inputNorm: RmsNorm; postNorm: RmsNorm }) {
    super();
    this.#inputNorm = this.child('input_layernorm', parts.inputNorm);
    this.#attention = this.child('self_attn', parts.attention);
    this.#postNorm = this.child('post_attention_layernorm', parts.postNorm);
    this.#mlp = this.child('mlp', parts.mlp);
  }

  forward(h: Tensor, inputs: LayerInputs): Tensor {
    const attended = scope(() => addInto(this.#attention.forward(this.#inputNorm.forward(h), inputs), h));
    const y = scope(() => addInto(this.#mlp.forward(this.#postNorm.forward(attended), inputs.pass), attended));
    attended.dispose();
    return y;
  }
}
