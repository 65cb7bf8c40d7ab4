import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { examplesOf } from './examples.ts';
import type { Example } from './examples.ts';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** A README and its examples. */
export interface Page {
  /** Relative to the root. */
  readonly folder: string;
  readonly examples: readonly Example[];
}

function page(folder: string): Page {
  const path = join(root, folder, 'README.md');
  return { folder, examples: existsSync(path) ? examplesOf(readFileSync(path, 'utf8')) : [] };
}

/** The repository's README and those of all packages. */
export function allPages(): Page[] {
  return [page('.'), ...readdirSync(join(root, 'packages')).map((name) => page(join('packages', name)))];
}
