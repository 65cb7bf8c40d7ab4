// Every published package says what is new in it: a changeset waits for its next release, or it has a changelog already.
// `--since=HEAD` lets changesets judge the files alone, whatever branches a clone has.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { collect, root } from '../setup/stage.mjs';
import { publishedPackages } from './packages.mjs';

// Inside the repository, for changesets takes the path as relative to it.
const folder = mkdtempSync(join(root, 'node_modules', '.changesets-'));
try {
  const plan = join(folder, 'plan.json');
  const changeset = join(root, 'node_modules', '@changesets', 'cli', 'bin.js');
  const { code, output } = await collect(process.execPath, [
    changeset,
    'status',
    '--since=HEAD',
    `--output=${relative(root, plan)}`,
  ]);
  if (code !== 0) throw new Error(output);
  /** @type {{ releases: { name: string }[] }} */
  const { releases } = JSON.parse(readFileSync(plan, 'utf8'));
  const silent = publishedPackages().filter(
    ({ name, folder: home }) =>
      !existsSync(join(home, 'CHANGELOG.md')) && !releases.some((release) => release.name === name),
  );
  for (const { name } of silent) console.log(`${name} has neither a changeset nor a changelog: npx changeset`);
  process.exitCode = silent.length > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
