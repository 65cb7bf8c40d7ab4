import type { ConfiguredAdapter, HostArray, HostState } from '@lowrank/core';
import { uniform } from '../backend/inputs.ts';
import { reference } from '../reference/reference.ts';
import { withRig, type Trial } from './rig.ts';
import type { TestLayer } from './test-layers.ts';

type States = ReadonlyMap<string, HostState>;

/** Every rule asks for the same ones. */
const known = new WeakMap<ConfiguredAdapter, Map<TestLayer, Promise<States>>>();

/**
 * An adapter's tensors as if it had been trained: the initial ones plus up to 1/4, rounded to f32. Adapters start without
 * effect, and what has none cannot be seen to be right.
 */
export function stirredStates({ configured, row }: Omit<Trial, 'backend'>): Promise<States> {
  const ofAdapter = known.get(configured) ?? new Map<TestLayer, Promise<States>>();
  known.set(configured, ofAdapter);
  const states = ofAdapter.get(row) ?? stir(configured, row);
  ofAdapter.set(row, states);
  return states;
}

async function stir(configured: ConfiguredAdapter, row: TestLayer): Promise<States> {
  const backend = await reference();
  return withRig({ configured, row, backend }, {}, async ({ adapter }) => {
    const states = await adapter.hostStates();
    return new Map(
      [...states].map(([path, { params, buffers }]) => [
        path,
        { params: mapArrays(params, move), buffers: mapArrays(buffers, round) },
      ]),
    );
  });
}

type Arrays = Readonly<Record<string, HostArray>>;

function mapArrays(arrays: Arrays, map: (name: string, array: HostArray) => HostArray): Arrays {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, map(name, array)]));
}

function move(name: string, { shape, data }: HostArray): HostArray {
  const noise = uniform(`stir/${name}`, data.length, -0.25, 0.25);
  return { format: 'f32', shape, data: noise.map((value, i) => data[i]! + value) };
}

function round(_name: string, array: HostArray): HostArray {
  return array.data instanceof Float64Array ? { ...array, data: Float32Array.from(array.data) } : array;
}
