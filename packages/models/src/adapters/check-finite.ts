import { ModelsError } from '../models-error.ts';
import type { HostAdapter } from './host-adapter.ts';

/**
 * Looks for NaN and infinities in an adapter's tensors.
 * @throws ModelsError MODELS_ADAPTER that names `path` and the tensor.
 */
export function checkFinite(path: string, { states, modules }: HostAdapter): void {
  const arrays = [
    ...Array.from(states, ([site, { params }]) =>
      Object.entries(params).map(([name, array]) => [`${site}.${name}`, array] as const),
    ).flat(),
    ...modules,
  ];
  for (const [name, { data }] of arrays) {
    const at = (data as Float32Array).findIndex((value) => !Number.isFinite(value));
    if (at < 0) continue;
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path}: element ${at} of ${name} is ${data[at]}; the adapter was damaged, or its training diverged`,
      { value: data[at] },
    );
  }
}
