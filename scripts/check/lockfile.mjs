// The lockfile is one that `npm ci` takes on every system and through every registry: no addresses in it, no optional
// package left out, nothing that package.json disagrees with.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingOptionalPackages } from '../lockfile/optional-packages.mjs';
import { npm } from '../setup/npm.mjs';
import { root } from '../setup/stage.mjs';

/** @type {import('../lockfile/optional-packages.mjs').Lockfile} */
const lockfile = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const addresses = Object.entries(lockfile.packages)
  .filter(([, { resolved, link }]) => resolved !== undefined && link !== true)
  .map(([path, { resolved }]) => `${path} carries an address: ${resolved}`);
const missing = missingOptionalPackages(lockfile).map(
  ({ name, version }) => `${name}@${version} is left out: node scripts/lockfile/complete.mjs`,
);
const { code, output } = await npm(['ci', '--dry-run', '--ignore-scripts', '--no-audit', '--loglevel=error']);
const problems = [...addresses, ...missing, ...(code === 0 ? [] : [output])];
for (const problem of problems) console.log(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
