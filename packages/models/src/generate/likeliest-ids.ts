import { cast, keep, less, max, neg, scope, tensor, where, type Backend, type Tensor } from '@lowrank/core';

/** `likeliest` on the backend: work that follows can be issued before the id is known here. */
export class LikeliestIds {
  /** 0, -1, -2, ..., and a number below them: the greatest of some is the first. */
  readonly #ids: Tensor;
  readonly #none: Tensor;

  constructor(backend: Backend, width: number) {
    this.#ids = keep(
      tensor(
        backend,
        Float32Array.from({ length: width }, (_, id) => -id),
        [1, width],
      ),
    );
    this.#none = keep(tensor(backend, [-width], [1, 1]));
  }

  /** Logits [rows, width] to ids, i32 [rows]: of what no other is greater than, the first. */
  of(logits: Tensor): Tensor {
    return scope(() => {
      const greatest = max(logits, { axis: 1, keepDims: true });
      const candidates = where(less(logits, greatest), this.#none, this.#ids);
      return cast(neg(max(candidates, { axis: 1 })), 'i32');
    });
  }

  dispose(): void {
    this.#ids.dispose();
    this.#none.dispose();
  }
}
