import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allPages, root } from './pages.ts';
import { runTypeScript } from './run.ts';

describe.each(allPages())('README of $folder', ({ folder, examples }) => {
  it('has an example', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples)('runs the example in line $line', { timeout: 300_000 }, async ({ code, output }) => {
    const { stderr, ...result } = await runTypeScript(code, join(root, folder), ['@lowrank/source']);
    expect(result, stderr).toEqual({ code: 0, stdout: output?.trim() ?? result.stdout });
  });
});
