import type { HostArray } from '../../host/arrays.ts';
import { AdapterError, type HostState, type Site } from '../adapter.ts';

/** A [rank, in] and B [out, rank], row-major. */
export interface HostPair {
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/** A and B of a state, checked. */
export function hostPair(type: string, state: HostState, rank: number, site: Site): HostPair {
  return {
    a: hostValues(type, state.params['A'], [rank, site.inFeatures], `${site.path}.A`),
    b: hostValues(type, state.params['B'], [site.outFeatures, rank], `${site.path}.B`),
  };
}

/**
 * A tensor of a state, checked, in float64: one kind of array is what engines run fast.
 * @param type the adapter's, and `path` the tensor's, for messages.
 * @throws AdapterError ADAPTER_STATE when it is absent, or has another format or shape.
 */
export function hostValues(
  type: string,
  array: HostArray | undefined,
  shape: readonly number[],
  path: string,
): Float64Array {
  if (
    array === undefined ||
    array.format !== 'f32' ||
    array.shape.length !== shape.length ||
    array.shape.some((length, axis) => length !== shape[axis])
  ) {
    const found = array === undefined ? 'absent' : `${array.format} [${array.shape.join(', ')}]`;
    throw new AdapterError(
      'ADAPTER_STATE',
      `${type}: the tensor ${path} is ${found}; f32 [${shape.join(', ')}] is needed`,
      { path, value: array?.shape },
    );
  }
  return new Float64Array(array.data);
}

/**
 * The change of the weight, s B A (an embedding's s (B A)^T), one row of the weight's own layout at a time.
 * @param use gets the row, in an array that is used again, and its number.
 */
export function eachRowOfChange(
  { a, b }: HostPair,
  rank: number,
  scale: number,
  { kind, inFeatures, outFeatures }: Site,
  use: (change: Float64Array, row: number) => void,
): void {
  const embedding = kind === 'embedding';
  const [rows, columns] = embedding ? [inFeatures, outFeatures] : [outFeatures, inFeatures];
  // The change is left [rows, rank] times right [rank, columns].
  const left = embedding ? transposedMatrix(a, rank, rows) : b;
  const right = embedding ? transposedMatrix(b, columns, rank) : a;
  const change = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    change.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * left[row * rank + k]!;
      const start = k * columns;
      for (let i = 0; i < columns; i++) change[i] = change[i]! + factor * right[start + i]!;
    }
    use(change, row);
  }
}

/** A matrix's transpose. */
export function transposedMatrix(values: Float64Array, rows: number, columns: number): Float64Array {
  const turned = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column]!;
  }
  return turned;
}
