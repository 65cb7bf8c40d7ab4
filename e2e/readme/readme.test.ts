import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { examplesOf } from './examples.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const packages = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name, 'README.md'));
const pages = [join(root, 'README.md'), ...packages];

/** Runs TypeScript from standard input, so that names resolve from the page's folder and nothing is written there. */
function run(code: string, folder: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@lowrank/source', '--input-type=module-typescript', '-'], {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', VITEST: '' },
      timeout: 240_000,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ code: status, stdout: stdout.trim(), stderr }));
    child.stdin.end(code);
  });
}

describe.each(pages.map((page) => [relative(root, page), page] as const))('%s', (_, page) => {
  const examples = existsSync(page) ? examplesOf(readFileSync(page, 'utf8')) : [];

  it('has an example', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples)('runs the example in line $line', { timeout: 300_000 }, async ({ code, output }) => {
    const { stderr, ...result } = await run(code, dirname(page));
    expect(result, stderr).toEqual({ code: 0, stdout: output?.trim() ?? result.stdout });
  });
});
