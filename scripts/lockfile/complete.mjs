// Adds to package-lock.json the optional packages for other systems that npm left out, unreachable as they were. They
// are named with exact versions by the packages they belong to; what is not known of them is the integrity hash.
//
//   node scripts/lockfile/complete.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/stage.mjs';
import { missingOptionalPackages } from './optional-packages.mjs';

const systems = { darwin: 'darwin', mac: 'darwin', win: 'win32', win32: 'win32', windows: 'win32', linux: 'linux' };
const processors = ['arm64', 'x64', 'riscv64', 'ia32', 'arm', 'ppc64', 's390x'];

const file = join(root, 'package-lock.json');
/** @type {import('./optional-packages.mjs').Lockfile} */
const lockfile = JSON.parse(readFileSync(file, 'utf8'));
for (const { name, version, dev } of missingOptionalPackages(lockfile)) {
  const words = name.split(/[/-]/);
  const os = Object.entries(systems).flatMap(([word, system]) => (words.includes(word) ? [system] : []));
  const cpu = processors.filter((processor) => words.includes(processor));
  if (!/^\d+\.\d+\.\d+/.test(version) || os.length !== 1 || cpu.length !== 1) {
    throw new Error(`cannot tell the version and system of ${name}@${version}`);
  }
  lockfile.packages[`node_modules/${name}`] = { version, cpu, ...(dev && { dev }), optional: true, os };
  console.log(`added ${name}@${version}`);
}
const [[top, project] = ['', {}], ...rest] = Object.entries(lockfile.packages);
lockfile.packages = Object.fromEntries([[top, project], ...rest.toSorted(([a], [b]) => a.localeCompare(b, 'en'))]);
writeFileSync(file, `${JSON.stringify(lockfile, null, 2)}\n`);
