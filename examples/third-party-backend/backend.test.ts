/** What its README says: the published suite passes, the command says so, an adapter is the same on it. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loraAdapter } from '@lowrank/adapter-lora';
import { adapterConformance, adapterSummary, backendConformance } from '@lowrank/conformance';
import { keepReport, run } from '@lowrank/conformance/node';
import { tensor } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import arrays from './backend.ts';

const source = fileURLToPath(new URL('backend.ts', import.meta.url));

backendConformance({ describe, it }, arrays, { onReport: keepReport('arrays') });

adapterConformance(
  { describe, it },
  {
    adapter: loraAdapter,
    configs: { 'rank 8': { config: {} } },
    backends: { arrays },
    onReport: (report) => console.log(adapterSummary(report)),
  },
);

it('is a whole backend in under 300 lines', async () => {
  expect((await readFile(source, 'utf8')).trimEnd().split('\n').length).toBeLessThan(300);
});

it('is found and judged by the command', async () => {
  let stdout = '';
  const code = await run([source, '--op', 'gather,permute'], (text) => {
    stdout += text;
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^arrays: 32 cases passed, 0 failed$/m);
});

describe('a backend that does not fit says so', () => {
  it('made for another version of the interface', async () => {
    const old = { ...(await arrays()), interfaceVersion: 0 as 1 };
    expect(() => tensor(old, [1, 2], [2])).toThrow(
      expect.objectContaining({
        code: 'CORE_INTERFACE_VERSION',
        message: expect.stringMatching(
          /'arrays' is made for interface version 0, this is 1; install matching versions/,
        ),
      }),
    );
  });
});
