import type { AdapterState } from '@lowrank/core';

/** Frees an adapter's tensors. */
export function disposeState({ params, buffers }: AdapterState): void {
  for (const tensor of [...Object.values(params), ...Object.values(buffers)]) tensor.dispose();
}

/** Whether an adapter trains A and B and nothing else: then it does not mind what exactly they stand on. */
export function isPair({ params }: AdapterState): boolean {
  return Object.keys(params).toSorted().join() === 'A,B';
}
