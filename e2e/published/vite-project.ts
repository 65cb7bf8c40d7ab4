import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { root } from './pages.ts';
import { run } from './run.ts';
import type { Outcome } from './run.ts';

export interface ViteBuild extends Outcome {
  /** What it has written, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const page = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Example</title><link rel="icon" href="data:,"></head>
  <body><script type="module" src="./main.ts"></script></body>
</html>
`;

/** The example as the script of a page, built for production by Vite as it comes: there is no configuration. */
export async function buildWithVite(folder: string, code: string): Promise<ViteBuild> {
  await writeFile(join(folder, 'index.html'), page);
  await writeFile(join(folder, 'main.ts'), code);
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  // The base: the page is served from a folder below the server's root.
  const outcome = await run(process.execPath, [vite, 'build', '--base=./'], { cwd: folder, timeout: 120_000 });
  const dist = join(folder, 'dist');
  const entries = await readdir(dist, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = await Promise.all(
    paths.map(async (path) => [relative(dist, path).replaceAll(sep, '/'), await readFile(path)] as const),
  );
  return { ...outcome, files: new Map(files) };
}
