import { join } from 'node:path';
import { isIntact } from './cache.ts';
import { cacheFolder } from './cache-folder.ts';
import { KNOWN_MODELS } from './catalog.ts';
import type { KnownModel } from './catalog.ts';
import { wantedFile } from './wanted-file.ts';

/** The known models, each with its path where it lies in the cache. */
export async function listModels({ cacheDir = cacheFolder() }: { readonly cacheDir?: string } = {}): Promise<
  readonly (KnownModel & { readonly path: string | undefined })[]
> {
  return Promise.all(
    KNOWN_MODELS.map(async (model) => {
      const path = join(cacheDir, ...wantedFile(model.name)!.place);
      return { ...model, path: (await isIntact(path, model.sha256)) ? path : undefined };
    }),
  );
}
