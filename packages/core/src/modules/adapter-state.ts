import type { HostState } from '../adapter/adapter.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { checkFits, readHost } from '../tensor/host-copy.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterSlot } from './adapter-slot.ts';

/** Tensors in host memory, in the backend's precision. */
export async function readAll(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, HostArray>> {
  const arrays: Record<string, HostArray> = {};
  for (const [name, tensor] of Object.entries(tensors)) arrays[name] = await readHost(tensor);
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
    throw new CoreError(
      'CORE_STATE',
      `the adapter has a tensor ${slot.site.path}.${stray} that '${slot.configured.adapter.type}' does not know`,
      { value: stray },
    );
  }
  return Object.entries(mine).map(([name, target]) => {
    const source = theirs[name];
    const full = `${slot.site.path}.${name}`;
    if (source === undefined) {
      throw new CoreError('CORE_STATE', `the adapter lacks the tensor ${full}`, { value: full });
    }
    checkFits(target, source, `the tensor ${full}`);
    return [target, source];
  });
}
