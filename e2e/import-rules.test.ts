import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findForbiddenImports } from '../scripts/check/imports.mjs';

/** Each plants one import into a small copy of the repository's layout and names the rule that must find it. */
const forbidden = [
  ['core-knows-no-plugin', 'packages/core/src/x.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  [
    'core-knows-no-plugin',
    'packages/core/src/x.ts',
    `import type { Y } from '@lowrank/adapter-lora'; export type X = Y;`,
  ],
  ['core-knows-no-plugin', 'packages/core/src/x.ts', `export const x = () => import('@lowrank/io-gguf');`],
  ['core-knows-no-plugin', 'packages/core/src/x.ts', `export { y } from '../../backend-cpu/src/index.ts';`],
  ['plugins-import-core-only', 'packages/adapter-lora/src/x.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['plugins-import-core-only', 'packages/backend-cpu/src/x.ts', `import { y } from '@lowrank/adapter-lora'; y();`],
  ['plugins-import-core-only', 'packages/conformance/src/x.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['io-imports-core-types-only', 'packages/io-gguf/src/x.ts', `import { y } from '@lowrank/core'; y();`],
  ['models-name-no-backend', 'packages/models/src/x.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
  ['through-the-front-door', 'packages/adapter-lora/src/x.ts', `export { y } from '../../core/src/index.ts';`],
  ['browser-clean', 'packages/core/src/x.ts', `import { readFileSync } from 'node:fs'; readFileSync('');`],
  ['resolvable', 'packages/core/src/x.ts', `import { y } from './nowhere.ts'; y();`],
] as const;

const allowed = [
  ['packages/adapter-lora/src/x.ts', `import { y } from '@lowrank/core'; y();`],
  ['packages/io-gguf/src/x.ts', `import type { Y } from '@lowrank/core'; export type X = Y;`],
  ['packages/core/src/x.ts', `export const x = () => import('node:fs/promises');`],
  ['packages/models/src/x.ts', `import { readFileSync } from 'node:fs'; readFileSync('');`],
  ['packages/cli/src/x.ts', `import { y } from '@lowrank/backend-cpu'; y();`],
] as const;

const packages = ['core', 'conformance', 'backend-cpu', 'adapter-lora', 'io-gguf', 'models', 'cli'];
let folder: string;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function brokenRules(): Promise<string[]> {
  const { violations } = await findForbiddenImports(folder, ['packages']);
  return violations.map((violation) => violation.slice(0, violation.indexOf(':')));
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lowrank-imports-'));
  write('package.json', '{ "name": "root", "private": true, "type": "module" }');
  mkdirSync(join(folder, 'node_modules', '@lowrank'), { recursive: true });
  for (const name of packages) {
    const exports = { '.': { '@lowrank/source': './src/index.ts', default: './dist/index.js' } };
    write(`packages/${name}/package.json`, JSON.stringify({ name: `@lowrank/${name}`, type: 'module', exports }));
    write(`packages/${name}/src/index.ts`, 'export type Y = number;\nexport function y(): void {}\n');
    symlinkSync(join('..', '..', 'packages', name), join(folder, 'node_modules', '@lowrank', name), 'dir');
  }
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the import rules', () => {
  it.each(forbidden)('%s: %s must not say %s', async (rule, path, text) => {
    write(path, text);
    expect(await brokenRules()).toContain(rule);
  });

  it.each(allowed)('%s may say %s', async (path, text) => {
    write(path, text);
    expect(await brokenRules()).toEqual([]);
  });

  it('no-circular: two files must not import each other', async () => {
    write('packages/core/src/a.ts', `import { b } from './b.ts'; export const a = () => b;`);
    write('packages/core/src/b.ts', `import { a } from './a.ts'; export const b = () => a;`);
    expect(await brokenRules()).toContain('no-circular');
  });

  it('types may refer to each other', async () => {
    write('packages/core/src/a.ts', `import type { B } from './b.ts'; export interface A { b: B }`);
    write('packages/core/src/b.ts', `import type { A } from './a.ts'; export interface B { a: A }`);
    expect(await brokenRules()).toEqual([]);
  });
});
