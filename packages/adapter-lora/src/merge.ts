import { AdapterError, hostWeight, type HostArray, type HostState, type HostWeight, type Site } from '@lowrank/core';
import { loraScale, type LoraConfig } from './config.ts';

/**
 * W + s B A, summed in float64 and rounded once to f32; an embedding's table becomes W + s (B A)^T.
 * @param original [out, in]; an embedding's [vocabulary, dimension].
 */
export async function mergeLora(
  original: HostWeight,
  state: HostState,
  config: LoraConfig,
  site: Site,
): Promise<HostWeight> {
  const [rows, columns] = original.shape;
  const { rank } = config;
  const embedding = site.kind === 'embedding';
  const { a, b } = pairOf(state, config, site);
  // The change is left [rows, rank] times right [rank, columns].
  const left = embedding ? transposed(a, rank, rows) : b;
  const right = embedding ? transposed(b, columns, rank) : a;
  const scale = loraScale(config);
  const merged = (await original.values()).slice();
  const change = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    change.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * left[row * rank + k]!;
      const start = k * columns;
      for (let i = 0; i < columns; i++) change[i] = change[i]! + factor * right[start + i]!;
    }
    const start = row * columns;
    for (let i = 0; i < columns; i++) merged[start + i] = merged[start + i]! + change[i]!;
  }
  return hostWeight([rows, columns], merged);
}

/** A [rank, in] and B [out, rank] of a state, checked, in float64: one kind of array is what engines run fast. */
export function pairOf(state: HostState, config: LoraConfig, site: Site): { a: Float64Array; b: Float64Array } {
  const { rank } = config;
  return {
    a: matrix(state.params['A'], [rank, site.inFeatures], `${site.path}.A`),
    b: matrix(state.params['B'], [site.outFeatures, rank], `${site.path}.B`),
  };
}

function matrix(array: HostArray | undefined, shape: readonly [number, number], path: string): Float64Array {
  const found = array === undefined ? 'absent' : `${array.format} [${array.shape.join(', ')}]`;
  if (
    array === undefined ||
    array.format !== 'f32' ||
    array.shape.length !== 2 ||
    array.shape[0] !== shape[0] ||
    array.shape[1] !== shape[1]
  ) {
    throw new AdapterError(
      'ADAPTER_STATE',
      `lora: the tensor ${path} is ${found}; f32 [${shape.join(', ')}] is needed`,
      { path, value: array?.shape },
    );
  }
  return new Float64Array(array.data);
}

/** A matrix's transpose. */
export function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  const turned = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column]!;
  }
  return turned;
}
