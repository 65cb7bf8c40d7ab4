// Judges the packages as they would be published: publint and "are the types wrong" on each tarball, and whether what
// they import is declared. The packages must have been built.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { collect, root } from '../setup/stage.mjs';
import { judgeImports } from './declared-imports.mjs';
import { packAll } from './pack.mjs';
import { publishedPackages } from './packages.mjs';

/** @param {string} name */
const bin = (name) => join(root, 'node_modules', '.bin', name);

/** @param {string} tarball */
const judgements = (tarball) => [
  [bin('publint'), 'run', tarball, '--strict'],
  // ESM alone, as the packages are: the profile leaves CommonJS out of it.
  [bin('attw'), tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'],
];

const folder = mkdtempSync(join(tmpdir(), 'lowrank-pack-'));
try {
  const tarballs = await packAll(folder);
  for (const tarball of tarballs) {
    const results = await Promise.all(judgements(tarball).map((args) => collect(process.execPath, args)));
    const complaints = results.filter(({ code }) => code !== 0).map(({ output }) => output.trim());
    console.log([`${complaints.length === 0 ? 'ok' : 'FAILED'} ${basename(tarball)}`, ...complaints].join('\n'));
    if (complaints.length > 0) process.exitCode = 1;
  }
  for (const { name, folder: home } of publishedPackages()) {
    const complaints = judgeImports(home);
    for (const complaint of complaints) console.log(`FAILED ${name} ${complaint}`);
    if (complaints.length > 0) process.exitCode = 1;
  }
  if (tarballs.length === 0) throw new Error('no package was packed');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
