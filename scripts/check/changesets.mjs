// Every published package says what is new in it: a changeset waits for its next release, or it has a changelog already.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from '../setup/stage.mjs';
import { publishedPackages } from './packages.mjs';

// CommonJS whose types and exports disagree on what the default is.
/** @type {typeof import('@changesets/get-release-plan')} */
const { default: getReleasePlan } = createRequire(import.meta.url)('@changesets/get-release-plan');

const { releases } = await getReleasePlan(root);
const announced = releases.filter(({ changesets }) => changesets.length > 0);
const silent = publishedPackages().filter(
  ({ name, folder }) =>
    !existsSync(join(folder, 'CHANGELOG.md')) && !announced.some((release) => release.name === name),
);
for (const { name, newVersion, type } of announced) console.log(`${name} ${newVersion} (${type})`);
for (const { name } of silent) console.log(`${name} has neither a changeset nor a changelog: npx changeset`);
process.exitCode = silent.length > 0 ? 1 : 0;
