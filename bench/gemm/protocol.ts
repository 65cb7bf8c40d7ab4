import type { Product } from './product.ts';

/** Asks a peer for a product, some times back to back. */
export interface ProductRequest {
  readonly product: Product;
  readonly repeats: number;
}

/** How long all of them took; null where the peer has no such product. */
export interface ProductAnswer {
  readonly seconds: number | null;
}

/** A product, ready to be computed; `run` computes it `repeats` times, and waits. */
export type Prepared = (repeats: number) => Promise<void> | void;
