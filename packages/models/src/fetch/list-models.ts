import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EMBEDDED_MODEL_NAME, embeddedModelUrl } from '../embedded/index.ts';
import { isIntact } from './cache.ts';
import { cacheFolder } from './cache-folder.ts';
import { KNOWN_MODELS } from './catalog.ts';
import type { KnownModel } from './catalog.ts';
import { wantedFile } from './wanted-file.ts';

/** A model that can be asked for by name, and where it lies if it is on this machine. */
export interface ListedModel extends Pick<KnownModel, 'name' | 'title' | 'license' | 'file' | 'bytes'> {
  readonly path: string | undefined;
}

/** The embedded model and those that can be fetched, each with its path where it is on this machine. */
export async function listModels({ cacheDir = cacheFolder() }: { readonly cacheDir?: string } = {}): Promise<
  readonly ListedModel[]
> {
  const known = KNOWN_MODELS.map(async ({ name, title, license, file, bytes, sha256 }) => {
    const path = join(cacheDir, ...wantedFile(name)!.place);
    return { name, title, license, file, bytes, path: (await isIntact(path, sha256)) ? path : undefined };
  });
  return Promise.all([embedded(), ...known]);
}

async function embedded(): Promise<ListedModel> {
  const path = fileURLToPath(embeddedModelUrl);
  const file = await stat(path).catch(() => undefined);
  return {
    name: EMBEDDED_MODEL_NAME,
    title: 'First names, letter by letter, F16; comes with the package',
    license: 'MIT',
    file: 'names.gguf',
    bytes: file?.size ?? 0,
    path: file === undefined ? undefined : path,
  };
}
