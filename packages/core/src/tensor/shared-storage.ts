import type { Backend, Storage } from '../backend/backend.ts';

/**
 * Storage shared by several tensors (views, and what a gradient keeps), freed with the last of them.
 */
export class SharedStorage {
  readonly backend: Backend;
  readonly storage: Storage;
  #holders = 1;

  constructor(backend: Backend, storage: Storage) {
    this.backend = backend;
    this.storage = storage;
  }

  get holders(): number {
    return this.#holders;
  }

  hold(): this {
    this.#holders++;
    return this;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.backend.free(this.storage);
  }
}
