import { extname } from 'node:path';
import type { Base } from './base.ts';
import { checkGgufForm, writeGgufAdapter } from './gguf-adapter.ts';
import type { HostAdapter } from './host-adapter.ts';
import { sitesOf } from './base.ts';
import { sitesWith } from './host-adapter.ts';
import { peftFormOf, writePeftFolder, type WritePeftOptions } from './write-peft.ts';

/** What an adapter is written as: a file for llama.cpp, or a folder for PEFT. */
export type AdapterTarget = 'gguf' | 'peft';

/** By the target's name: one that ends in `.gguf` is that, any other a PEFT folder. */
export function adapterTarget(path: string): AdapterTarget {
  return extname(path).toLowerCase() === '.gguf' ? 'gguf' : 'peft';
}

/** Writes an adapter in the form that `path` asks for; resolves to bytes. @throws as `writeGgufAdapter`, `writePeftFolder`. */
export async function writeAdapter(
  path: string,
  base: Base,
  source: HostAdapter,
  options: WritePeftOptions = {},
): Promise<number> {
  return adapterTarget(path) === 'gguf'
    ? writeGgufAdapter(path, base, source)
    : writePeftFolder(path, base, source, options);
}

/** @throws as `writeAdapter`, before work is spent on an adapter that cannot be written so. */
export function checkWritable(
  path: string,
  base: Base,
  { adapter, config }: Pick<HostAdapter, 'adapter' | 'config'>,
  paths: ReadonlyMap<string, unknown>,
): void {
  if (adapterTarget(path) === 'peft') peftFormOf({ adapter });
  else checkGgufForm(base, adapter, sitesWith(paths, sitesOf(base)), config.modulesToSave);
}
