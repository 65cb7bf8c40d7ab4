// Builds the package in the working directory, as `npm run build` does in each: `dist` is made anew.
//
//   dist/*.js     the sources, bundled and minified: a file for each entry of package.json, and what these share or import later
//   dist/*.d.ts   the declarations of what the entries export, with the docstrings
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect, root } from '../setup/stage.mjs';
import { bundle } from './bundle.mjs';
import { rollUp } from './declarations.mjs';
import { entries } from './entries.mjs';

const folder = process.cwd();
const dist = join(folder, 'dist');
const all = entries(folder);
const declared = all.filter((entry) => entry.declared);

const types = mkdtempSync(join(tmpdir(), 'lowrank-types-'));
try {
  rmSync(dist, { recursive: true, force: true });
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const [{ code, output }] = await Promise.all([
    collect(process.execPath, [
      tsc,
      '-p',
      join(folder, 'tsconfig.build.json'),
      '--emitDeclarationOnly',
      '--outDir',
      types,
    ]),
    bundle(Object.fromEntries(all.map(({ name, source }) => [name, join(folder, 'src', `${source}.ts`)])), dist),
  ]);
  process.stdout.write(output);
  process.exitCode = code;
  if (code === 0) {
    const fileOf = (/** @type {string} */ source) => join(types, `${source}.d.ts`);
    for (const { name, source } of declared) {
      const first = declared[0] === undefined || source === declared[0].source ? undefined : fileOf(declared[0].source);
      writeFileSync(join(dist, `${name}.d.ts`), rollUp(fileOf(source), first));
    }
  }
} finally {
  rmSync(types, { recursive: true, force: true });
}
