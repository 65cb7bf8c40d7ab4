import { cast, fromStorage, keep, less, max, scope, tensor, where, type Backend, type Tensor } from '@lowrank/core';

/** `likeliest` on the backend: work that follows can be issued before the id is known here. */
export class LikeliestIds {
  readonly #width: number;
  /** 0, 1, ..., and a number behind them. */
  readonly #ids: Tensor;
  readonly #none: Tensor;

  constructor(backend: Backend, width: number) {
    this.#width = width;
    this.#ids = keep(
      tensor(
        backend,
        Float32Array.from({ length: width }, (_, id) => id),
        [1, width],
      ),
    );
    this.#none = keep(tensor(backend, [width], [1, 1]));
  }

  /** Logits [rows, width] to ids, i32 [rows]: of what no other is greater than, the first. */
  of(logits: Tensor): Tensor {
    return scope(() => {
      const rows = logits.shape[0]!;
      const greatest = max(logits, { axis: 1, keepDims: true });
      const { storage } = where(less(logits, greatest), this.#none, this.#ids);
      const { backend } = logits;
      const first = fromStorage(backend, backend.kernels.reduce('min', storage, rows, this.#width, 1), [rows], 'f32');
      return cast(first, 'i32');
    });
  }

  dispose(): void {
    this.#ids.dispose();
    this.#none.dispose();
  }
}
