import type { HostState } from '../adapter/adapter.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { checkFits, readHost } from '../tensor/host-copy.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Tensors in host memory, in the backend's precision. */
export async function readAll(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, HostArray>> {
  const arrays: Record<string, HostArray> = {};
  for (const [name, tensor] of Object.entries(tensors)) arrays[name] = await readHost(tensor);
  return arrays;
}

/** An adapter's tensors at one module's path. */
export interface TensorsAt {
  readonly params: Readonly<Record<string, Tensor>>;
  readonly buffers: Readonly<Record<string, Tensor>>;
}

/**
 * Pairs the tensors at a path with the values for them.
 * @throws CoreError CORE_STATE naming the tensor that is missing, too many or of another shape.
 */
export function matchState(path: string, mine: TensorsAt, type: string, state: HostState): [Tensor, HostArray][] {
  return [...matchPart(path, mine.params, state.params, type), ...matchPart(path, mine.buffers, state.buffers, type)];
}

function matchPart(
  path: string,
  mine: TensorsAt['params'],
  theirs: HostState['params'],
  type: string,
): [Tensor, HostArray][] {
  const stray = Object.keys(theirs).find((name) => !Object.hasOwn(mine, name));
  if (stray !== undefined) {
    throw new CoreError('CORE_STATE', `the adapter has a tensor ${path}.${stray} that '${type}' does not know`, {
      value: stray,
    });
  }
  return Object.entries(mine).map(([name, target]) => {
    const source = theirs[name];
    const full = `${path}.${name}`;
    if (source === undefined) {
      throw new CoreError('CORE_STATE', `the adapter lacks the tensor ${full}`, { value: full });
    }
    checkFits(target, source, `the tensor ${full}`);
    return [target, source];
  });
}
