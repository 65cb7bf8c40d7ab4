/** What the fixtures are: small, and made with what tools/oracles pins. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { fixtureJson, fixturePath } from './support/fixtures.ts';

it('take less than 3 MB', async () => {
  const files = await readdir(fixturePath(''), { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    files.filter((file) => file.isFile()).map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  );
  expect(sizes.length).toBeGreaterThan(40);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3_000_000);
});

it('were made with the versions that the scripts ask for', async () => {
  const pins = await readFile(fileURLToPath(new URL('../../tools/oracles/requirements.txt', import.meta.url)), 'utf8');
  const pinned = [...pins.matchAll(/^([a-z]+)==([\d.]+)$/gm)].map(([, name, version]) => [name, version]);
  expect(pinned).not.toHaveLength(0);
  expect(fixtureJson('versions')).toMatchObject(Object.fromEntries(pinned) as object);
});
