import type { Attributes, ElementType, Engine, EngineName, EngineTensor, Operands, Quirks } from './engine.ts';
import type { DataId, KernelBackend, KernelConfig, TensorInfo, TfjsCore } from './tfjs-core.ts';

/** A tensor of a registered backend: a reference to data that the backend counts. */
interface RegisteredTensor extends EngineTensor, TensorInfo {
  readonly dataId: DataId;
  readonly shape: number[];
  readonly dtype: ElementType;
}

/**
 * The kernels that a TensorFlow.js backend has registered, called directly on a backend instance of our own. The
 * global engine, with its tensors, scopes, tape and current backend, is left out.
 */
export class RegisteredEngine implements Engine {
  readonly name: EngineName;
  readonly supports: Engine['supports'];
  readonly memoryLimit: number;
  readonly quirks: Quirks;
  protected readonly core: TfjsCore;
  protected readonly backend: KernelBackend;
  readonly #kernels = new Map<string, KernelConfig>();

  constructor(
    name: EngineName,
    core: TfjsCore,
    backend: KernelBackend,
    properties: Pick<Engine, 'supports' | 'memoryLimit' | 'quirks'>,
  ) {
    this.name = name;
    this.core = core;
    this.backend = backend;
    this.supports = properties.supports;
    this.memoryLimit = properties.memoryLimit;
    this.quirks = properties.quirks;
  }

  run(kernel: string, inputs: Operands, attributes: Attributes = {}): EngineTensor {
    return this.call(this.kernel(kernel), inputs, attributes);
  }

  reshape(x: EngineTensor, shape: readonly number[]): EngineTensor {
    return this.run('Reshape', { x }, { shape: [...shape] });
  }

  write(values: Float32Array | Int32Array, shape: readonly number[]): EngineTensor {
    const dtype = values instanceof Int32Array ? 'int32' : 'float32';
    const dataId = this.backend.write(values.slice(), [...shape], dtype);
    const tensor: RegisteredTensor = { dataId, shape: [...shape], dtype };
    return tensor;
  }

  async read(x: EngineTensor): Promise<Float32Array | Int32Array> {
    const values = await this.backend.read((x as RegisteredTensor).dataId);
    // Engines give the very array they hold, or another type for it.
    return x.dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values);
  }

  free(x: EngineTensor): void {
    this.backend.disposeData((x as RegisteredTensor).dataId);
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  reservedBytes(liveBytes: number): number {
    return liveBytes;
  }

  tensorCount(): number {
    return this.backend.numDataIds();
  }

  dispose(): Promise<void> {
    this.backend.dispose();
    return Promise.resolve();
  }

  protected kernel(name: string): KernelConfig {
    const known = this.#kernels.get(name);
    if (known !== undefined) return known;
    const config = this.core.getKernel(name, this.name);
    if (config == null) throw new Error(`TensorFlow.js has no kernel ${name} for its backend ${this.name}`);
    this.#kernels.set(name, config);
    return config;
  }

  protected call(config: KernelConfig, inputs: Operands, attributes: Attributes): EngineTensor {
    const result = config.kernelFunc({ inputs, attrs: attributes, backend: this.backend });
    if (Array.isArray(result)) throw new Error(`${config.kernelName} gave ${result.length} tensors`);
    return result as RegisteredTensor;
  }
}
