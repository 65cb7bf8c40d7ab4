import { build } from 'vite';
import type { Rolldown } from 'vite';

/** A bundle's files by path below its root: `index.html`, `assets/...`. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

/** Bundles the page in `root` (its `index.html`) from the packages' sources. Nothing is written. */
export async function bundle(root: string): Promise<Files> {
  const output = (await build({
    configFile: false,
    root,
    base: './',
    logLevel: 'error',
    resolve: { conditions: ['@lowrank/source', 'module', 'browser', 'development|production'] },
    // Readable stacks in failures.
    build: { write: false, minify: false, target: 'esnext' },
  })) as Rolldown.RolldownOutput;
  return new Map(output.output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]));
}
