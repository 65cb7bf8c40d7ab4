import type { HostArray, HostState } from '@lowrank/core';
import { uniform } from '../backend/inputs.ts';
import { reference } from '../reference/reference.ts';
import { withRig, type Trial } from './rig.ts';

/**
 * An adapter's tensors as if it had been trained: the initial ones plus up to 1/4, rounded to f32. Adapters start without
 * effect, and what has none cannot be seen to be right.
 */
export async function stirredStates({ configured, row }: Omit<Trial, 'backend'>): Promise<Map<string, HostState>> {
  const backend = await reference();
  return withRig({ configured, row, backend }, {}, async ({ adapter }) => {
    const states = await adapter.hostStates();
    return new Map([...states].map(([path, { params, buffers }]) => [path, { params: mapArrays(params, stir), buffers: mapArrays(buffers, round) }]));
  });
}

type Arrays = Readonly<Record<string, HostArray>>;

function mapArrays(arrays: Arrays, map: (name: string, array: HostArray) => HostArray): Arrays {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, map(name, array)]));
}

function stir(name: string, { shape, data }: HostArray): HostArray {
  const noise = uniform(`stir/${name}`, data.length, -0.25, 0.25);
  return { format: 'f32', shape, data: noise.map((value, i) => data[i]! + value) };
}

function round(_name: string, array: HostArray): HostArray {
  return array.data instanceof Float64Array ? { ...array, data: Float32Array.from(array.data) } : array;
}
