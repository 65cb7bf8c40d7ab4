import type { Attributes, ElementType, Engine, EngineTensor, Operands, Quirks } from './engine.ts';
import { findBinding, type Binding, type NodeOptions } from './node-binding.ts';
import { translate, type NodeOperand } from './node-ops.ts';

/** A tensor that libtensorflow holds, by its number. */
interface NodeTensor extends EngineTensor {
  readonly id: number;
}

const tensor = (id: number, shape: readonly number[], dtype: ElementType): NodeTensor => ({ id, shape, dtype });

/**
 * libtensorflow through tfjs-node's addon. tfjs-node's own backend makes every result a tensor of the application's engine; the
 * addon below it knows nothing of that, so it is called directly.
 */
class NodeEngine implements Engine {
  readonly name = 'node';
  readonly supports: Engine['supports'] = { deterministic: true, nonFinite: true, maxStorageBytes: 2 ** 32 };
  readonly memoryLimit: number = Number.POSITIVE_INFINITY;
  readonly quirks: Quirks = {
    maximumLosesNaN: false,
    signIsRough: false,
    maxBatch: Number.POSITIVE_INFINITY,
    castSaturates: false,
    sumSplitByThreads: true,
    plainMatmulOnly: false,
  };
  readonly #binding: Binding;
  readonly #live = new Set<number>();

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  run(kernel: string, inputs: Operands, attributes: Attributes = {}): EngineTensor {
    const { op, operands, types = {}, flags = {}, integers = {} } = translate(kernel, inputs, attributes);
    const { TF_ATTR_TYPE, TF_ATTR_BOOL, TF_ATTR_INT } = this.#binding;
    const own: number[] = [];
    const ids = operands.map((operand) => this.#idOf(operand, own));
    const list = (type: number, values: Readonly<Record<string, unknown>>) =>
      Object.entries(values).map(([name, value]) => ({ name, type, value }));
    const typeNumbers = Object.fromEntries(Object.entries(types).map(([name, type]) => [name, this.#typeNumber(type)]));
    const all = [...list(TF_ATTR_TYPE, typeNumbers), ...list(TF_ATTR_BOOL, flags), ...list(TF_ATTR_INT, integers)];
    try {
      const [result] = this.#binding.executeOp(op, all, ids, 1);
      this.#live.add(result!.id);
      return tensor(result!.id, result!.shape, this.#typeName(result!.dtype));
    } finally {
      for (const id of own) this.#binding.deleteTensor(id);
    }
  }

  reshape(x: EngineTensor, shape: readonly number[]): EngineTensor {
    return this.run('Reshape', { x }, { shape });
  }

  write(values: Float32Array | Int32Array, shape: readonly number[]): EngineTensor {
    const dtype = values instanceof Int32Array ? 'int32' : 'float32';
    // The tensor keeps the very array.
    const id = this.#binding.createTensor([...shape], this.#typeNumber(dtype), values.slice());
    this.#live.add(id);
    return tensor(id, [...shape], dtype);
  }

  async read(x: EngineTensor): Promise<Float32Array | Int32Array> {
    return this.#binding.tensorDataSync((x as NodeTensor).id) as Float32Array | Int32Array;
  }

  free(x: EngineTensor): void {
    const { id } = x as NodeTensor;
    this.#live.delete(id);
    this.#binding.deleteTensor(id);
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  reservedBytes(liveBytes: number): number {
    return liveBytes;
  }

  tensorCount(): number {
    return this.#live.size;
  }

  dispose(): Promise<void> {
    for (const id of this.#live) this.#binding.deleteTensor(id);
    this.#live.clear();
    return Promise.resolve();
  }

  #idOf(operand: NodeOperand, own: number[]): number {
    if ('dtype' in operand) return (operand as NodeTensor).id;
    const dtype = operand.values instanceof Int32Array ? 'int32' : 'float32';
    const id = this.#binding.createTensor(operand.shape, this.#typeNumber(dtype), operand.values);
    own.push(id);
    return id;
  }

  #typeNumber(type: ElementType): number {
    const { TF_FLOAT, TF_INT32, TF_BOOL } = this.#binding;
    return { float32: TF_FLOAT, int32: TF_INT32, bool: TF_BOOL }[type];
  }

  #typeName(type: number): ElementType {
    if (type === this.#binding.TF_FLOAT) return 'float32';
    return type === this.#binding.TF_INT32 ? 'int32' : 'bool';
  }
}

/** libtensorflow, of tfjs-node: the fastest engine in Node. */
export function nodeEngine(options: NodeOptions): Engine {
  return new NodeEngine(findBinding(options));
}
