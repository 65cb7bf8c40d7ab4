import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { readHost, writeHost } from '../tensor/host-copy.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What of an optimizer a snapshot needs. */
export interface Restorable<State> {
  state(): State | Promise<State>;
  load(state: State): void;
}

/** An adapter's tensors as they were, in host memory at the backend's precision; and an optimizer's, where one was given. */
export class AdapterSnapshot {
  readonly #name: string;
  readonly #restoreOptimizer: (() => void) | undefined;
  #copies: readonly (readonly [Tensor, HostArray])[] | undefined;

  constructor(
    name: string,
    copies: readonly (readonly [Tensor, HostArray])[],
    restoreOptimizer: (() => void) | undefined,
  ) {
    this.#name = name;
    this.#copies = copies;
    this.#restoreOptimizer = restoreOptimizer;
  }

  /** Whether it can still be rolled back to. */
  get open(): boolean {
    return this.#copies !== undefined;
  }

  /**
   * Puts everything back, bit for bit: with the optimizer's moments and step count where it was part of the snapshot, so that going
   * on from there gives the run that it would have given. It stays open, for another attempt.
   * @throws CoreError CORE_ARGUMENT after `commit`; CORE_DISPOSED when the adapter was ejected.
   */
  rollback(): void {
    if (this.#copies === undefined) {
      throw new CoreError(
        'CORE_ARGUMENT',
        `rollback: the snapshot of '${this.#name}' was committed; its copies are gone`,
        { value: this.#name },
      );
    }
    for (const [target, source] of this.#copies) writeHost(target, source, `the adapter '${this.#name}'`);
    this.#restoreOptimizer?.();
  }

  /** Keeps what the adapter has become, and lets the copies go. */
  commit(): void {
    this.#copies = undefined;
  }
}

/** Copies tensors, and asks an optimizer for its state. */
export async function takeSnapshot<State>(
  name: string,
  tensors: Iterable<Tensor>,
  optimizer: Restorable<State> | undefined,
): Promise<AdapterSnapshot> {
  const copies: (readonly [Tensor, HostArray])[] = [];
  for (const tensor of tensors) copies.push([tensor, await readHost(tensor)]);
  if (optimizer === undefined) return new AdapterSnapshot(name, copies, undefined);
  const state = await optimizer.state();
  return new AdapterSnapshot(name, copies, () => optimizer.load(state));
}
