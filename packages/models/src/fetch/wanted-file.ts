import type { HubFile, KnownModel, WheelFile } from './catalog.ts';
import { knownModel } from './catalog.ts';

/** A model file to get: where it can come from, where it goes in the cache, and what is known of its bytes. */
export interface WantedFile {
  readonly name: string;
  readonly known: Pick<KnownModel, 'bytes' | 'sha256'> | undefined;
  readonly hub: HubFile;
  readonly wheel: WheelFile | undefined;
  /** Parts of its path within the cache. */
  readonly place: readonly string[];
}

/** The file that a name stands for: a known model's, or `owner/repo/file.gguf` on the hub; undefined for neither. */
export function wantedFile(name: string): WantedFile | undefined {
  const model = knownModel(name);
  if (model !== undefined) {
    return {
      name: model.name,
      known: model,
      hub: model.hub,
      wheel: model.wheel,
      place: ['models', model.name, model.file],
    };
  }
  const [owner = '', repo = '', ...path] = name.split('/');
  const isName = (part: string): boolean => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part);
  if (path.length === 0 || !name.toLowerCase().endsWith('.gguf')) return undefined;
  if (![owner, repo, ...path].every(isName)) return undefined;
  const hub = { repo: `${owner}/${repo}`, path: path.join('/'), revision: 'main' };
  return { name, known: undefined, hub, wheel: undefined, place: ['hub', owner, repo, ...path] };
}
