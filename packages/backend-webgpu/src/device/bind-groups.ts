import type { PooledBuffer } from '../memory/storage.ts';
import type { Counting } from './counters.ts';
import type { Pipeline } from './pipelines.ts';

/** A part of a buffer, or all of it. */
export interface Bound {
  readonly pooled: PooledBuffer;
  readonly offset: number;
  readonly size: number;
}

/** Of a whole step of some thousand dispatches. */
const most = 16_384;

/** Bind groups by layout and buffers: the pool gives a step the buffers of the step before, and so most are there already. */
export class BindGroups {
  readonly #device: GPUDevice;
  readonly #uniforms: GPUBuffer;
  readonly #counting: Counting;
  readonly #groups = new Map<string, GPUBindGroup>();

  constructor(device: GPUDevice, uniforms: GPUBuffer, counting: Counting) {
    this.#device = device;
    this.#uniforms = uniforms;
    this.#counting = counting;
  }

  get({ layout, layoutId, uniformBytes }: Pipeline, bound: readonly Bound[]): GPUBindGroup {
    let key = `${layoutId}`;
    for (const { pooled, offset, size } of bound) key += ` ${pooled.id}+${offset}:${size}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    if (this.#groups.size >= most) this.clear();
    const entries: GPUBindGroupEntry[] = bound.map(({ pooled, offset, size }, binding) => ({
      binding,
      resource: { buffer: pooled.buffer, offset, size },
    }));
    entries.push({ binding: bound.length, resource: { buffer: this.#uniforms, size: uniformBytes } });
    const group = this.#device.createBindGroup({ layout, entries });
    this.#groups.set(key, group);
    this.#counting.bindGroupsCreated++;
    return group;
  }

  /** Forgets all: to be called when a buffer is destroyed. */
  clear(): void {
    this.#groups.clear();
  }
}
