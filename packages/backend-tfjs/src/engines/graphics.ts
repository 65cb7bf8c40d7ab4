import type { Attributes, EngineTensor, Operands } from './engine.ts';
import { permuted, sliced, joined } from './host-layout.ts';
import { RegisteredEngine } from './registered.ts';

/** An integer tensor that was uploaded: its numbers, and where a kernel needed them there, a copy on the device. */
interface HostIntegers extends EngineTensor {
  readonly dtype: 'int32';
  readonly values: Int32Array;
  onDevice: EngineTensor | undefined;
}

/** Integers out of floats that only the device knows: whole numbers as float32, which is exact, for floats they were. */
interface DeviceIntegers extends EngineTensor {
  readonly dtype: 'int32';
  readonly floats: EngineTensor;
}

const isHost = (x: EngineTensor): x is HostIntegers => 'values' in x;
const isDevice = (x: EngineTensor): x is DeviceIntegers => 'floats' in x;

/**
 * WebGL's and WebGPU's kernels pass int32 through float32, which keeps 24 bits. Integers are indices, few beside the
 * floats: they stay on the host, where they are moved exactly, and are copied to the device for kernels that read them.
 */
export class GraphicsEngine extends RegisteredEngine {
  readonly #host = new Set<HostIntegers>();

  override run(kernel: string, inputs: Operands, attributes: Attributes = {}): EngineTensor {
    if (kernel === 'Fill' && attributes['dtype'] === 'int32') {
      const shape = attributes['shape'] as number[];
      const length = shape.reduce((product, size) => product * size, 1);
      return this.#keep(new Int32Array(length).fill(attributes['value'] as number), shape);
    }
    if (Array.isArray(inputs)) return this.#concat(inputs as readonly EngineTensor[], attributes);
    const named = inputs as Readonly<Record<string, EngineTensor>>;
    const { x } = named;
    if (kernel === 'Cast' && attributes['dtype'] === 'int32') return this.#truncated(x!);
    if (x !== undefined && isHost(x)) return this.#onHost(kernel, x, attributes);
    if (x !== undefined && isDevice(x)) {
      const floats =
        kernel === 'Cast' ? super.reshape(x.floats, x.shape) : super.run(kernel, { x: x.floats }, attributes);
      return kernel === 'Cast' ? floats : integers(floats);
    }
    const copies: EngineTensor[] = [];
    const operands = Object.entries(named).map(([name, operand]) => [name, this.#deviceOperand(operand, copies)]);
    try {
      return super.run(kernel, Object.fromEntries(operands) as Operands, attributes);
    } finally {
      for (const copy of copies) super.free(copy);
    }
  }

  override reshape(x: EngineTensor, shape: readonly number[]): EngineTensor {
    if (isHost(x)) return this.#keep(x.values, shape);
    return isDevice(x) ? integers(super.reshape(x.floats, shape)) : super.reshape(x, shape);
  }

  override write(values: Float32Array | Int32Array, shape: readonly number[]): EngineTensor {
    return values instanceof Int32Array ? this.#keep(values.slice(), shape) : super.write(values, shape);
  }

  override async read(x: EngineTensor): Promise<Float32Array | Int32Array> {
    if (isHost(x)) return x.values.slice();
    if (!isDevice(x)) return super.read(x);
    const floats = await super.read(x.floats);
    return Int32Array.from(floats, (value) => Math.min(Math.max(value, -(2 ** 31)), 2 ** 31 - 1));
  }

  override free(x: EngineTensor): void {
    if (isHost(x)) {
      this.#host.delete(x);
      if (x.onDevice !== undefined) super.free(x.onDevice);
    } else {
      super.free(isDevice(x) ? x.floats : x);
    }
  }

  override tensorCount(): number {
    return super.tensorCount() + [...this.#host].filter(({ onDevice }) => onDevice === undefined).length;
  }

  #keep(values: Int32Array, shape: readonly number[]): HostIntegers {
    const tensor: HostIntegers = { values, shape: [...shape], dtype: 'int32', onDevice: undefined };
    this.#host.add(tensor);
    return tensor;
  }

  #onHost(kernel: string, x: HostIntegers, attributes: Attributes): EngineTensor {
    switch (kernel) {
      case 'Cast':
        return super.write(Float32Array.from(x.values), x.shape);
      case 'Transpose': {
        const perm = attributes['perm'] as number[];
        return this.#keep(
          permuted(x.values, x.shape, perm),
          perm.map((axis) => x.shape[axis]!),
        );
      }
      case 'Slice': {
        const size = attributes['size'] as number[];
        return this.#keep(sliced(x.values, x.shape, attributes['begin'] as number[], size), size);
      }
      default:
        throw new Error(`${kernel} does not work on integers`);
    }
  }

  #concat(parts: readonly EngineTensor[], attributes: Attributes): EngineTensor {
    if (parts.every((part) => part.dtype !== 'int32')) return super.run('Concat', parts, attributes);
    const axis = attributes['axis'] as number;
    if (parts.every((part) => isHost(part))) {
      const shape = parts[0]!.shape.map((size, i) => (i === axis ? sum(parts.map((part) => part.shape[i]!)) : size));
      return this.#keep(joined(parts, axis), shape);
    }
    if (parts.every((part) => isDevice(part))) {
      return integers(
        super.run(
          'Concat',
          parts.map(({ floats }) => floats),
          attributes,
        ),
      );
    }
    throw new Error('integers that were cast from floats on the device cannot be joined with uploaded ones');
  }

  /** Toward zero. What no i32 holds is saturated when it is read. */
  #truncated(x: EngineTensor): EngineTensor {
    const size = super.run('Abs', { x });
    const whole = super.run('Floor', { x: size });
    const sign = super.run('Sign', { x });
    try {
      return integers(super.run('Multiply', { a: sign, b: whole }));
    } finally {
      for (const temporary of [size, whole, sign]) super.free(temporary);
    }
  }

  /** What a kernel of the device can read; a copy made for one call goes to `copies`. */
  #deviceOperand(x: EngineTensor, copies: EngineTensor[]): EngineTensor {
    if (isHost(x)) return (x.onDevice ??= super.write(x.values, x.shape));
    if (!isDevice(x)) return x;
    const copy = super.run('Cast', { x: x.floats }, { dtype: 'int32' });
    copies.push(copy);
    return copy;
  }
}

const integers = (floats: EngineTensor): DeviceIntegers => ({ floats, shape: floats.shape, dtype: 'int32' });

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
