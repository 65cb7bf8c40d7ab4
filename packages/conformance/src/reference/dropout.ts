/** Dropout (Srivastava et al. 2014) with core's counter-based mask. */
import { dropoutMask } from '@lowrank/core';
import type { DropoutSpec } from '@lowrank/core';

/** x mask / (1 - p). */
export function dropout(x: Float64Array, spec: DropoutSpec): Float64Array {
  const mask = dropoutMask(spec.rows, spec.columns, spec.probability, spec.key, spec.stream);
  return x.map((value, i) => (value * mask[i]!) / (1 - spec.probability));
}
