/**
 * The published suite over every backend that runs in browsers, in a real one: each test here runs the test of the same name in a
 * page. Graphics are in software, so nothing depends on the machine's.
 */
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { backendConformance } from '@lowrank/conformance';
import { writeReport } from '@lowrank/conformance/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserBackends } from './backends.ts';
import { pathRunner } from './path-runner.ts';
import { launchBrowser } from './support/browser.ts';
import { bundle } from './support/bundle.ts';
import { LIMIT_MS, PageDriver } from './support/page-driver.ts';
import { servePages } from './support/page-server.ts';
import type { PageServer } from './support/page-server.ts';

let browser: Browser;
let server: PageServer;

beforeAll(async () => {
  server = await servePages(await bundle(fileURLToPath(new URL('page', import.meta.url))));
  browser = await launchBrowser();
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

describe.each(browserBackends)('$name', (backend) => {
  let page: PageDriver;

  beforeAll(async () => {
    page = await PageDriver.open(browser, server, backend);
  });

  afterAll(async () => {
    const outcome = await page?.outcome();
    if (outcome !== undefined) {
      process.stdout.write(`${outcome.summary}\n`);
      writeReport(outcome.report);
    }
    await page?.close();
  });

  const runner = pathRunner(describe, (path) => {
    it(path.at(-1)!, { timeout: LIMIT_MS + 10_000 }, async () => {
      const failure = await page.run(path);
      if (failure !== undefined) throw new Error(failure);
    });
  });
  // Here it only names the tests.
  backendConformance(runner, () => expect.unreachable('the backend starts in the page'));
});
