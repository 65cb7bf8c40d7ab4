/** What tools/oracles wrote. Its files are read here with a few lines of our own, lest a mistake in io-safetensors hide itself. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

export type FixtureTensors = ReadonlyMap<string, FixtureTensor>;

const arrays = { F32: Float32Array, F64: Float64Array, I32: Int32Array, U8: Uint8Array } as const;

/** The path of a fixture. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/** The tensors of `<name>.safetensors`. */
export function fixtureTensors(name: string): FixtureTensors {
  const bytes = readFileSync(fixturePath(`${name}.safetensors`));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: keyof typeof arrays; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, FixtureTensor>();
  for (const [key, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (key === '__metadata__') continue;
    const [start, end] = offsets.map((offset) => 8 + headerLength + offset) as [number, number];
    tensors.set(key, { shape, data: new arrays[dtype](Uint8Array.from(bytes.subarray(start, end)).buffer) });
  }
  return tensors;
}

/** `<name>.json`, which its reader knows the shape of. */
export function fixtureJson(name: string): unknown {
  return JSON.parse(readFileSync(fixturePath(`${name}.json`), 'utf8'));
}

/** Those of the tensors whose name begins with `<prefix>.`, without it. */
export function under(tensors: FixtureTensors, prefix: string): FixtureTensors {
  const found = new Map<string, FixtureTensor>();
  for (const [key, value] of tensors) if (key.startsWith(`${prefix}.`)) found.set(key.slice(prefix.length + 1), value);
  return found;
}

/** @throws Error with the names that are there. */
export function tensorOf(tensors: FixtureTensors, name: string): FixtureTensor {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`the fixture has no ${name}; it has ${[...tensors.keys()].join(', ')}`);
  return found;
}

/** The same as numbers of float32. */
export function floatsOf(tensors: FixtureTensors, name: string): Float32Array {
  const { data } = tensorOf(tensors, name);
  if (!(data instanceof Float32Array)) throw new Error(`${name} is not float32`);
  return data;
}

/** The greatest |a - b|. */
export function greatestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers cannot be compared with ${b.length}`);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    // NaN counts as infinitely far.
    if (!(difference <= most)) most = difference === difference ? difference : Infinity;
  }
  return most;
}
