import {
  CoreError,
  decodeArray,
  FrozenWeight,
  isFourBitFormat,
  keep,
  Linear,
  quantize4bit,
  RmsNorm,
  tensor,
  type Backend,
  type FourBitOptions,
  type HostArray,
  type Tensor,
  type Weight,
} from '@lowrank/core';
import { ModelsError } from '../models-error.ts';
import type { CausalLmConfig } from './config.ts';
import type { WeightSource } from './weight-source.ts';

export interface LoadOptions {
  /** Weights decoded to f32 tensors that a gradient flows to, for training the model itself. Default false: frozen as stored. */
  readonly trainable?: boolean;
  /**
   * Linear layers in 4 bits, quantized as they are read, so that no more than one is ever in memory as it was stored. Embeddings,
   * the output head and norms stay as they are. Not with `trainable`.
   */
  readonly quantize?: FourBitOptions;
  /** Called after each tensor with the bytes read so far and in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
}

/** Brings tensors to the backend one at a time, checking each shape first. */
export class TensorReader {
  readonly #file: WeightSource;
  readonly #config: CausalLmConfig;
  readonly #backend: Backend;
  readonly #options: LoadOptions;
  readonly #made: { dispose(): void }[] = [];
  readonly #read = new Set<string>();
  readonly #total: number;
  #loaded = 0;

  /** @throws ModelsError MODELS_ARGUMENT for weights that are to be trained and quantized. */
  constructor(file: WeightSource, backend: Backend, options: LoadOptions) {
    if (options.trainable === true && options.quantize !== undefined) {
      throw new ModelsError(
        'MODELS_ARGUMENT',
        'loadCausalLm: weights in 4 bits cannot be trained; leave out `quantize`',
        {
          value: options.quantize,
        },
      );
    }
    this.#file = file;
    this.#config = file.config;
    this.#backend = backend;
    this.#options = options;
    this.#total = [...file.tensors.values()].reduce((sum, info) => sum + (info.byteLength ?? 0), 0);
  }

  async weight(path: string, rows: number, columns: number): Promise<Weight> {
    return this.#weight(await this.#readPart(path, 'weight', [rows, columns]));
  }

  #weight(array: HostArray): Weight {
    return this.#options.trainable === true ? this.#tensor(array) : this.#keep(new FrozenWeight(this.#backend, array));
  }

  /** With a bias where the file has one. */
  async linear(path: string, rows: number, columns: number): Promise<Linear> {
    const weight = this.#weight(this.#quantized(await this.#readPart(path, 'weight', [rows, columns]), path));
    if (!this.#file.tensors.has(this.#file.nameOf(path, 'bias'))) return new Linear(weight);
    return new Linear(weight, await this.#vector(path, 'bias', rows));
  }

  #quantized(array: HostArray, path: string): HostArray {
    const { quantize } = this.#options;
    if (quantize === undefined || isFourBitFormat(array.format)) return array;
    try {
      return quantize4bit(decodeArray(array), array.shape, quantize);
    } catch (error) {
      if (!(error instanceof CoreError) || error.code !== 'CORE_NOT_FINITE') throw error;
      throw new ModelsError('MODELS_TENSOR', `${this.#file.name}: ${path}: ${error.message}`, {
        value: error.value,
        cause: error,
      });
    }
  }

  async norm(path: string): Promise<RmsNorm> {
    return new RmsNorm(await this.#vector(path, 'weight', this.#config.hiddenSize), this.#config.normEpsilon);
  }

  /** Divisors of RoPE's frequencies (Llama 3), one for each pair that turns. */
  async ropeFactors(): Promise<Float32Array | undefined> {
    const { ropeFactors } = this.#config;
    if (ropeFactors !== undefined) return ropeFactors;
    const name = this.#file.ropeFactorsName;
    if (name === undefined || !this.#file.tensors.has(name)) return undefined;
    const factors = decodeArray(await this.#readNamed(name, [this.#config.ropeDimensions / 2]));
    const wrong = factors.find((factor) => !(factor > 0 && factor < Infinity));
    if (wrong !== undefined) {
      throw new ModelsError(
        'MODELS_TENSOR',
        `${this.#file.name}: ${name} has the factor ${wrong}; factors are above 0`,
        { value: wrong },
      );
    }
    return factors;
  }

  /** @throws ModelsError MODELS_TENSOR for a tensor that was not read: without it the model would compute something else. */
  requireAllRead(): void {
    const stray = [...this.#file.tensors.keys()].find((name) => !this.#read.has(name));
    if (stray === undefined) return;
    throw new ModelsError(
      'MODELS_TENSOR',
      `${this.#file.name} has the tensor ${stray}, which a ${this.#config.architecture.name} model of ${this.#config.layers} layers does not use; this kind of model is not supported`,
      { value: stray },
    );
  }

  disposeAll(): void {
    for (const made of this.#made) made.dispose();
  }

  async #vector(path: string, part: 'weight' | 'bias', length: number): Promise<Tensor> {
    return this.#tensor(await this.#readPart(path, part, [length]));
  }

  #tensor(array: HostArray): Tensor {
    const made = this.#keep(keep(tensor(this.#backend, decodeArray(array), array.shape)));
    made.requiresGrad = this.#options.trainable === true;
    return made;
  }

  async #readPart(path: string, part: 'weight' | 'bias', shape: readonly number[]): Promise<HostArray> {
    return this.#readNamed(this.#file.nameOf(path, part), shape);
  }

  async #readNamed(name: string, shape: readonly number[]): Promise<HostArray> {
    const info = this.#file.tensors.get(name);
    const where = this.#file.name;
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
    this.#read.add(name);
    this.#loaded += info.byteLength ?? 0;
    this.#options.onProgress?.(this.#loaded, this.#total);
    return array;
  }

  #keep<T extends { dispose(): void }>(made: T): T {
    this.#made.push(made);
    return made;
  }
}
