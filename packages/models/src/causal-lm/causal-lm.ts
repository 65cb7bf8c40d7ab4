import {
  checkpoint,
  Embedding,
  inference,
  Linear,
  Module,
  ModuleList,
  noGrad,
  scope,
  type Backend,
  type ForwardPass,
  type RmsNorm,
  type Tensor,
  type Weight,
} from '@lowrank/core';
import type { CausalLmConfig } from './config.ts';
import type { DecoderLayer, LayerInputs } from './decoder-layer.ts';
import type { KvCache } from './kv-cache.ts';
import type { RopeTables } from './rope-tables.ts';
import { indexTensor, ownSegments, type SequenceBatch, type TokenBatch } from './sequences.ts';

export interface CausalLmParts {
  readonly config: CausalLmConfig;
  readonly backend: Backend;
  readonly embedding: Weight;
  readonly layers: readonly DecoderLayer[];
  readonly norm: RmsNorm;
  /** Absent where the head is tied to the embedding. */
  readonly head?: Weight;
  readonly rope: RopeTables;
}

export interface ForwardOptions {
  readonly pass?: ForwardPass;
  /** Recompute each layer in backward instead of keeping its intermediates. */
  readonly gradientCheckpointing?: boolean;
}

/** `model.*`: everything below the output head. */
class Trunk extends Module {
  readonly embedding: Embedding;
  readonly layers: readonly DecoderLayer[];
  readonly norm: RmsNorm;

  constructor({ embedding, layers, norm }: CausalLmParts) {
    super();
    this.embedding = this.child('embed_tokens', new Embedding(embedding));
    this.layers = this.child('layers', new ModuleList(layers)).items;
    this.norm = this.child('norm', norm);
  }
}

/** A decoder-only language model. Module names are Hugging Face's: `model.layers.0.self_attn.q_proj`. */
export class CausalLm extends Module {
  readonly config: CausalLmConfig;
  readonly backend: Backend;
  /** Whether the output head is the embedding's table. */
  readonly tied: boolean;
  readonly #trunk: Trunk;
  readonly #head: Linear;
  readonly #rope: RopeTables;

  constructor(parts: CausalLmParts) {
    super();
    this.config = parts.config;
    this.backend = parts.backend;
    this.tied = parts.head === undefined;
    this.#rope = parts.rope;
    this.#trunk = this.child('model', new Trunk(parts));
    this.#head = this.child('lm_head', new Linear(parts.head ?? parts.embedding));
  }

  /** The output head, `lm_head`. */
  get head(): Linear {
    return this.#head;
  }

  /** The last norm, before the head. */
  get norm(): RmsNorm {
    return this.#trunk.norm;
  }

  /** Hidden states before the last norm: [tokens, hiddenSize]. Every sequence starts here: nothing is cached. */
  hidden(batch: SequenceBatch, options: ForwardOptions = {}): Tensor {
    return this.#run(batch, ownSegments(batch.lengths), options);
  }

  /** The same for new tokens of `sequences` of a cache, which takes up their keys and values. */
  extend(
    batch: TokenBatch,
    cache: KvCache,
    sequences: readonly number[],
    options: Pick<ForwardOptions, 'pass'> = {},
  ): Tensor {
    const { lengths } = batch;
    const h = noGrad(() =>
      this.#run(batch, cache.segments(sequences, lengths), options, (layer, k, v) =>
        cache.append(layer, k, v, sequences, lengths),
      ),
    );
    cache.advance(sequences, lengths);
    return h;
  }

  /** Hidden states [rows, hiddenSize] to logits [rows, vocabulary]. */
  logits(hidden: Tensor, pass: ForwardPass = inference): Tensor {
    return scope(() => this.#head.forward(this.#trunk.norm.forward(hidden), pass));
  }

  #run(batch: TokenBatch, segments: Int32Array, options: ForwardOptions, extend?: LayerInputs['extend']): Tensor {
    const { pass = inference, gradientCheckpointing = false } = options;
    const longest = batch.positions.reduce((most, position) => Math.max(most, position + 1), 1);
    return scope(() => {
      const inputs: LayerInputs = {
        ...this.#rope.upTo(longest),
        positions: indexTensor(this.backend, batch.positions),
        segments,
        pass,
        ...(extend === undefined ? {} : { extend }),
      };
      const ids = ArrayBuffer.isView(batch.ids) ? indexTensor(this.backend, batch.ids) : batch.ids;
      let h = this.#trunk.embedding.forward(ids, pass);
      for (const layer of this.#trunk.layers) {
        const next = gradientCheckpointing ? checkpointed(layer, h, inputs) : layer.forward(h, inputs);
        h.dispose();
        h = next;
      }
      return h;
    });
  }

  override dispose(): void {
    super.dispose();
    this.#rope.dispose();
  }
}

/** A layer whose intermediates are computed again in backward. */
function checkpointed(layer: DecoderLayer, h: Tensor, inputs: LayerInputs): Tensor {
  const constants = [inputs.cos, inputs.sin, inputs.positions];
  return checkpoint(
    (x, [cos, sin, positions]) => layer.forward(x, { ...inputs, cos: cos!, sin: sin!, positions: positions! }),
    h,
    {
      parameters: trainableOf(layer),
      constants,
    },
  );
}

/** The tensors below a module that a gradient flows to. */
function trainableOf(module: Module): Tensor[] {
  const found: Tensor[] = [];
  for (const [, part] of module.modules()) {
    for (const tensor of part.trainable()) found.push(tensor);
  }
  return found;
}
