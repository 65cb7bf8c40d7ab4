import type { Backend, DType, Storage } from '../backend/backend.ts';
import { checkHostArray, decodeArray } from '../blocks/index.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { sameShape, shapeText } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** A tensor's values in host memory, at the backend's precision: what `writeHost` puts back bit for bit. */
export async function readHost(tensor: Tensor): Promise<HostArray> {
  return { format: tensor.dtype, shape: tensor.shape, data: await tensor.data() };
}

/** Replaces a tensor's values in place. `what` names it in errors. */
export function writeHost(target: Tensor, source: HostArray, what: string): void {
  const { backend, size } = target;
  checkFits(target, source, what);
  const storage = toStorage(backend, source, target.dtype);
  backend.kernels.writeSlice(target.storage, [size], storage, [0], [size]);
  backend.free(storage);
  target.markChanged();
}

/** The values on a backend, at its precision. */
export function toStorage(backend: Backend, source: HostArray, dtype: DType): Storage {
  const data = source.data instanceof Uint8Array ? decodeArray(source) : source.data;
  const narrow = data instanceof Float64Array && backend.supports.precision === 'f32';
  return backend.upload(narrow ? Float32Array.from(data) : data, dtype);
}

/**
 * Throws unless `source` can replace `target`'s values.
 * @throws CoreError CORE_STATE with the shapes.
 */
export function checkFits(target: Pick<Tensor, 'shape' | 'dtype'>, source: HostArray, what: string): void {
  if (!sameShape(source.shape, target.shape)) {
    throw new CoreError(
      'CORE_STATE',
      `${what} has shape ${shapeText(source.shape)}; ${shapeText(target.shape)} is needed`,
      {
        value: source.shape,
      },
    );
  }
  if ((source.format === 'i32') !== (target.dtype === 'i32')) {
    throw new CoreError('CORE_STATE', `${what} is ${source.format}; ${target.dtype} is needed`, {
      value: source.format,
    });
  }
  checkHostArray(source);
}
