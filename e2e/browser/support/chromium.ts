/** Which Chromium the tests run: the one that `LOWRANK_CHROMIUM` names, else the one that npm brings, else an installed Chrome. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { chromiumPackageFits, entries, unpacked, unpackOnce } from '../../../scripts/setup/chromium-package.mjs';

/** What of Playwright's launch options says which browser it is. */
export interface Chromium {
  readonly executablePath?: string;
  readonly channel?: 'chrome';
  readonly env?: Record<string, string>;
}

export function findChromium(): Chromium {
  const named = process.env['LOWRANK_CHROMIUM'] ?? '';
  if (named !== '') return { executablePath: named };
  if (!chromiumPackageFits()) return { channel: 'chrome' };
  const folder = unpackOnce('chromium', unpackChromium);
  const executablePath = join(folder, 'chromium');
  return { executablePath, env: libraryPath(executablePath, join(folder, 'lib')) };
}

/** The program with its graphics libraries beside it, and in `lib` what a bare Linux lacks: NSS and expat. */
function unpackChromium(folder: string): void {
  const executable = join(folder, 'chromium');
  writeFileSync(executable, unpacked('chromium.br'));
  chmodSync(executable, 0o755);
  mkdirSync(join(folder, 'lib'));
  for (const [archive, target] of [
    ['swiftshader.tar.br', folder],
    ['al2023.tar.br', join(folder, 'lib')],
  ] as const) {
    for (const [name, content] of entries(unpacked(archive))) {
      if (!name.endsWith('/')) writeFileSync(join(target, basename(name)), content);
    }
  }
}

/** The environment in which the program loads: ours, with the libraries that came with it only where the system has not got all. */
export function libraryPath(executable: string, libraries: string): Record<string, string> {
  const ours = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => !!entry[1]));
  if (spawnSync(executable, ['--version'], { timeout: 30_000 }).status === 0) return ours;
  return { ...ours, LD_LIBRARY_PATH: [libraries, ours['LD_LIBRARY_PATH']].filter(Boolean).join(':') };
}
