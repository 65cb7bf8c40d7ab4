import { serve } from '../process/serve.ts';
import { describe, type Product } from './product.ts';
import type { Prepared, ProductAnswer, ProductRequest } from './protocol.ts';

/** Answers `ProductRequest`s; what `prepare` gives is kept, undefined where the peer has no such product. */
export async function servePeer(
  prepare: (product: Product) => Promise<Prepared | undefined> | Prepared | undefined,
): Promise<void> {
  const prepared = new Map<string, Prepared | undefined>();
  await serve({}, async (asked): Promise<ProductAnswer> => {
    const { product, repeats } = asked as ProductRequest;
    const key = describe(product);
    if (!prepared.has(key)) prepared.set(key, await prepare(product));
    const multiply = prepared.get(key);
    if (multiply === undefined) return { seconds: null };
    const begin = performance.now();
    await multiply(repeats);
    return { seconds: (performance.now() - begin) / 1000 };
  });
}
