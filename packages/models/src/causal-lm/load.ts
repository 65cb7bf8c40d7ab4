import {
  decodeArray,
  FrozenWeight,
  keep,
  Linear,
  RmsNorm,
  tensor,
  type Backend,
  type HostArray,
  type Tensor,
  type Weight,
} from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { ggufName } from '../architectures/names.ts';
import { ModelsError } from '../models-error.ts';
import { CausalLm } from './causal-lm.ts';
import { configFromGguf, type CausalLmConfig } from './config.ts';
import { DecoderLayer, Mlp, SelfAttention } from './decoder-layer.ts';
import { RopeTables } from './rope-tables.ts';

export interface LoadOptions {
  /** Weights decoded to f32 tensors that a gradient flows to, for training the model itself. Default false: frozen as stored. */
  readonly trainable?: boolean;
  /** Called after each tensor with the bytes read so far and in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
}

/**
 * Builds a model from a GGUF alone. Weights stay in their quantized blocks.
 * @throws ModelsError MODELS_ARCHITECTURE, MODELS_METADATA, or MODELS_TENSOR when a tensor is missing or of another shape.
 */
export async function loadCausalLm(file: GgufFile, backend: Backend, options: LoadOptions = {}): Promise<CausalLm> {
  const config = configFromGguf(file);
  const reader = new TensorReader(file, config, backend, options);
  try {
    return await build(reader, file, config, backend);
  } catch (error) {
    reader.disposeAll();
    throw error;
  }
}

async function build(
  reader: TensorReader,
  file: GgufFile,
  config: CausalLmConfig,
  backend: Backend,
): Promise<CausalLm> {
  const { hiddenSize, feedForwardSize, heads, kvHeads, headSize, vocabularySize, layers } = config;
  const factors = file.tensors.has('rope_freqs.weight') ? decodeArray(await file.read('rope_freqs.weight')) : undefined;
  const embedding = await reader.weight('model.embed_tokens', vocabularySize, hiddenSize);
  const blocks: DecoderLayer[] = [];
  for (let n = 0; n < layers; n++) {
    const at = `model.layers.${n}`;
    const linear = (name: string, rows: number, columns: number): Promise<Linear> =>
      reader.linear(`${at}.${name}`, rows, columns);
    blocks.push(
      new DecoderLayer({
        inputNorm: await reader.norm(`${at}.input_layernorm`),
        attention: new SelfAttention(
          {
            q_proj: await linear('self_attn.q_proj', heads * headSize, hiddenSize),
            k_proj: await linear('self_attn.k_proj', kvHeads * headSize, hiddenSize),
            v_proj: await linear('self_attn.v_proj', kvHeads * headSize, hiddenSize),
            o_proj: await linear('self_attn.o_proj', hiddenSize, heads * headSize),
          },
          config,
          n,
        ),
        postNorm: await reader.norm(`${at}.post_attention_layernorm`),
        mlp: new Mlp({
          gate_proj: await linear('mlp.gate_proj', feedForwardSize, hiddenSize),
          up_proj: await linear('mlp.up_proj', feedForwardSize, hiddenSize),
          down_proj: await linear('mlp.down_proj', hiddenSize, feedForwardSize),
        }),
      }),
    );
  }
  const norm = await reader.norm('model.norm');
  const tied = !file.tensors.has('output.weight');
  return new CausalLm({
    config,
    backend,
    embedding,
    layers: blocks,
    norm,
    rope: new RopeTables(backend, config, factors),
    ...(tied ? {} : { head: await reader.weight('lm_head', vocabularySize, hiddenSize) }),
  });
}

/** Brings tensors to the backend one at a time, checking each shape first. */
class TensorReader {
  readonly #file: GgufFile;
  readonly #config: CausalLmConfig;
  readonly #backend: Backend;
  readonly #options: LoadOptions;
  readonly #made: { dispose(): void }[] = [];
  readonly #total: number;
  #loaded = 0;

  constructor(file: GgufFile, config: CausalLmConfig, backend: Backend, options: LoadOptions) {
    this.#file = file;
    this.#config = config;
    this.#backend = backend;
    this.#options = options;
    this.#total = [...file.tensors.values()].reduce((sum, info) => sum + (info.byteLength ?? 0), 0);
  }

  async weight(path: string, rows: number, columns: number): Promise<Weight> {
    const array = await this.#read(path, 'weight', [rows, columns]);
    return this.#options.trainable === true ? this.#tensor(array) : this.#keep(new FrozenWeight(this.#backend, array));
  }

  async linear(path: string, rows: number, columns: number): Promise<Linear> {
    const weight = await this.weight(path, rows, columns);
    const name = path.replace(/(?<=\.)\d+(?=\.)/, '{n}');
    if (!this.#config.architecture.biases.includes(name)) return new Linear(weight);
    return new Linear(weight, await this.#vector(path, 'bias', rows));
  }

  async norm(path: string): Promise<RmsNorm> {
    return new RmsNorm(await this.#vector(path, 'weight', this.#config.hiddenSize), this.#config.normEpsilon);
  }

  disposeAll(): void {
    for (const made of this.#made) made.dispose();
  }

  async #vector(path: string, part: 'weight' | 'bias', length: number): Promise<Tensor> {
    return this.#tensor(await this.#read(path, part, [length]));
  }

  #tensor(array: HostArray): Tensor {
    const made = this.#keep(keep(tensor(this.#backend, decodeArray(array), array.shape)));
    made.requiresGrad = this.#options.trainable === true;
    return made;
  }

  async #read(path: string, part: 'weight' | 'bias', shape: readonly number[]): Promise<HostArray> {
    const name = `${ggufName(this.#config.architecture, path)}.${part}`;
    const info = this.#file.tensors.get(name);
    const where = this.#file.source.name;
    if (info === undefined) {
      throw new ModelsError(
        'MODELS_TENSOR',
        `${where} lacks the tensor ${name}; it is not a whole ${this.#config.architecture.name} model`,
        { value: name },
      );
    }
    if (info.shape.join() !== shape.join()) {
      throw new ModelsError(
        'MODELS_TENSOR',
        `${where}: ${name} has shape [${info.shape.join(', ')}]; the file's metadata ask for [${shape.join(', ')}]`,
        { value: info.shape },
      );
    }
    const array = await this.#file.read(name);
    this.#loaded += info.byteLength ?? 0;
    this.#options.onProgress?.(this.#loaded, this.#total);
    return array;
  }

  #keep<T extends { dispose(): void }>(made: T): T {
    this.#made.push(made);
    return made;
  }
}
