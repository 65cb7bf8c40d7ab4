import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A file with an import in it, and the rule that must find it. */
const forbidden = [
  ['core-knows-no-plugin', 'packages/core/src/a.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  [
    'core-knows-no-plugin',
    'packages/core/src/b.ts',
    `import type { Y } from '@lowrank/adapter-lora'; export type X = Y;`,
  ],
  ['core-knows-no-plugin', 'packages/core/src/c.ts', `export const x = () => import('@lowrank/io-gguf');`],
  ['core-knows-no-plugin', 'packages/core/src/d.ts', `export { y } from '../../backend-cpu/src/index.ts';`],
  ['core-knows-no-plugin', 'packages/core/src/e.ts', `export type X = import('@lowrank/models').Y;`],
  ['plugins-import-core-only', 'packages/adapter-lora/src/a.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['plugins-import-core-only', 'packages/backend-cpu/src/a.ts', `import { y } from '@lowrank/adapter-lora'; y();`],
  ['plugins-import-core-only', 'packages/conformance/src/a.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['plugin-tests-import-core-and-conformance', 'packages/core/test/a.ts', `import { y } from '@lowrank/models'; y();`],
  ['io-imports-core-types-only', 'packages/io-gguf/src/a.ts', `import { y } from '@lowrank/core'; y();`],
  ['io-imports-core-only', 'packages/io-gguf/src/b.ts', `import type { Y } from '@lowrank/models'; export type X = Y;`],
  ['models-name-no-backend', 'packages/models/src/a.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['through-the-front-door', 'packages/adapter-lora/src/b.ts', `export { y } from '../../core/src/index.ts';`],
  ['browser-clean', 'packages/core/src/f.ts', `import { readFileSync } from 'node:fs'; readFileSync('');`],
  ['no-circular', 'packages/core/src/g.ts', `import { h } from './h.ts'; export const g = () => h;`],
  ['resolvable', 'packages/core/src/i.ts', `import { y } from './nowhere.ts'; y();`],
] as const;

/** The other half of the circle; a circle is reported once. */
const circle = ['packages/core/src/h.ts', `import { g } from './g.ts'; export const h = () => g;`] as const;

const allowed = [
  ['packages/adapter-lora/src/a.ts', `import { y } from '@lowrank/core'; y();`],
  ['packages/adapter-lora/test/a.ts', `import { y } from '@lowrank/conformance'; y();`],
  ['packages/io-gguf/src/a.ts', `import type { Y } from '@lowrank/core'; export type X = Y;`],
  ['packages/core/src/a.ts', `export const x = () => import('node:fs/promises');`],
  ['packages/models/src/a.ts', `import { readFileSync } from 'node:fs'; readFileSync('');`],
  ['packages/cli/src/a.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['packages/core/src/b.ts', `import type { C } from './c.ts'; export interface B { c: C }`],
  ['packages/core/src/c.ts', `import type { B } from './b.ts'; export interface C { b: B }`],
] as const;

const packages = ['core', 'conformance', 'backend-cpu', 'adapter-lora', 'io-gguf', 'models', 'cli'];
const folders: string[] = [];

/** Makes a small copy of the repository's layout with these files in it, and returns what the check says of it. */
function check(files: readonly (readonly [path: string, text: string])[]): { status: number | null; lines: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-imports-'));
  folders.push(folder);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  write('package.json', '{ "name": "root", "private": true, "type": "module" }');
  mkdirSync(join(folder, 'node_modules', '@lowrank'), { recursive: true });
  for (const name of packages) {
    const exports = { '.': { '@lowrank/source': './src/index.ts', default: './dist/index.js' } };
    write(`packages/${name}/package.json`, JSON.stringify({ name: `@lowrank/${name}`, type: 'module', exports }));
    write(`packages/${name}/src/index.ts`, 'export type Y = number;\nexport function y(): void {}\n');
    symlinkSync(join('..', '..', 'packages', name), join(folder, 'node_modules', '@lowrank', name), 'dir');
  }
  for (const [path, text] of files) write(path, text);
  const script = fileURLToPath(new URL('../scripts/check/imports.mjs', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script, folder, 'packages'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, lines: stdout.trim().split('\n') };
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe('the import rules', () => {
  let result: ReturnType<typeof check>;
  beforeAll(() => {
    result = check([...forbidden.map(([, path, text]) => [path, text] as const), circle]);
  });

  it('fail the check', () => {
    expect(result.status).toBe(1);
  });

  it.each(forbidden)('%s: %s must not say %s', (rule, path) => {
    expect(result.lines).toContainEqual(expect.stringContaining(`${rule}: ${path} -> `));
  });

  it('let pass what they do not forbid', () => {
    const { status, lines } = check(allowed);
    expect(lines).toEqual([expect.stringMatching(/^0 forbidden imports in \d+ modules$/)]);
    expect(status).toBe(0);
  });
});
