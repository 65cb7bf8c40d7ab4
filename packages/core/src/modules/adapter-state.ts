import type { HostState } from '../adapter/adapter.ts';
import type { TypedArray } from '../backend/backend.ts';
import { decodeArray } from '../blocks/index.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterSlot } from './adapter-slot.ts';

/** Tensors in host memory, in the backend's precision. */
export async function readAll(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, HostArray>> {
  const arrays: Record<string, HostArray> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    arrays[name] = { format: tensor.dtype, shape: tensor.shape, data: await tensor.data() };
  }
  return arrays;
}

/**
 * Pairs a slot's tensors with the values for them.
 * @throws CoreError CORE_STATE naming the tensor that is missing, too many or of another shape.
 */
export function matchState(slot: AdapterSlot, state: HostState): [Tensor, HostArray][] {
  return [...matchPart(slot, 'params', state), ...matchPart(slot, 'buffers', state)];
}

function matchPart(slot: AdapterSlot, part: 'params' | 'buffers', state: HostState): [Tensor, HostArray][] {
  const [mine, theirs] = [slot.state[part], state[part]];
  const stray = Object.keys(theirs).find((name) => !Object.hasOwn(mine, name));
  if (stray !== undefined) {
    throw new CoreError('CORE_STATE', `the adapter has a tensor ${slot.site.path}.${stray} that '${slot.configured.adapter.type}' does not know`, { value: stray });
  }
  return Object.entries(mine).map(([name, target]) => {
    const source = theirs[name];
    const full = `${slot.site.path}.${name}`;
    if (source === undefined) throw new CoreError('CORE_STATE', `the adapter lacks the tensor ${full}`, { value: full });
    if (!sameShape(source.shape, target.shape)) {
      throw new CoreError('CORE_STATE', `the tensor ${full} has shape ${shapeText(source.shape)}; ${shapeText(target.shape)} is needed`, { value: source.shape });
    }
    return [target, source];
  });
}

/** Writes values over a tensor's, in place. */
export function overwrite(target: Tensor, source: HostArray): void {
  const { backend, shape } = target;
  const storage = backend.upload(valuesFor(target, source), target.dtype);
  backend.kernels.writeSlice(target.storage, shape, storage, shape.map(() => 0), shape);
  backend.free(storage);
  target.markChanged();
}

/** Float64 values stay so on a float64 backend: what was saved there comes back with the same bits. */
function valuesFor({ backend, dtype }: Tensor, source: HostArray): TypedArray {
  if (dtype === 'i32' && source.data instanceof Int32Array) return source.data;
  if (source.data instanceof Float64Array && backend.supports.precision === 'f64') return source.data;
  return decodeArray(source);
}
