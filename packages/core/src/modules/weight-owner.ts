import { CoreError } from '../errors/core-error.ts';
import type { Weight } from './module.ts';

/** Weights that an adapter put in the place of a base's, and its name. */
const owners = new WeakMap<Weight, string>();

/** Notes that a weight is an adapter's own: a base that it brings along, or a copy that it trains. */
export function setOwner(weight: Weight, adapter: string): void {
  owners.set(weight, adapter);
}

/** The adapter whose own the weight is; undefined for a model's. */
export function ownerOf(weight: Weight): string | undefined {
  return owners.get(weight);
}

/**
 * Throws where an adapter's own weight lies already: of two that replace one weight, only one can be on.
 * @throws CoreError CORE_ARGUMENT naming the module and the adapter that is there.
 */
export function requireFree(weight: Weight, place: string, adapter: string): void {
  const owner = owners.get(weight);
  if (owner === undefined) return;
  throw new CoreError(
    'CORE_ARGUMENT',
    `the adapter '${adapter}' replaces ${place}, which '${owner}' has replaced already; deactivate or eject that one first`,
    { value: place },
  );
}
