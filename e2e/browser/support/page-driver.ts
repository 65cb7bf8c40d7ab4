import type { Browser, Page } from 'playwright-core';
import type { BrowserBackend } from '../backends.ts';
import type { PageGlobals } from '../page/main.ts';
import type { SuiteOutcome } from '../page/suite.ts';
import type { PageServer } from './page-server.ts';

/** Longer than any test takes on a busy machine: what has not ended by then hangs. */
export const LIMIT_MS = 240_000;

/** A page with the suite over one backend in it. Once a test hangs, or the page crashes, all tests after it fail at once. */
export class PageDriver {
  readonly #page: Page;
  /** Rejected when the page is of no more use. */
  readonly #broken: Promise<never>;
  #break: (reason: string) => void = () => {};

  private constructor(page: Page) {
    this.#page = page;
    this.#broken = new Promise((_, reject) => {
      this.#break = (reason) => reject(new Error(reason));
    });
    this.#broken.catch(() => {});
    page.on('crash', () => this.#break('the page has crashed'));
  }

  static async open(browser: Browser, server: PageServer, { name, isolated }: BrowserBackend): Promise<PageDriver> {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', ({ stack, message }) => errors.push(stack ?? message));
    await page.goto(server.url(isolated));
    const driver = new PageDriver(page);
    const actual = await page.evaluate(() => (globalThis as unknown as PageGlobals).crossOriginIsolated);
    if (actual !== isolated) throw new Error(`the page ${actual ? 'is' : 'is not'} cross-origin isolated`);
    await driver.#call((title) => (globalThis as unknown as PageGlobals).startSuite(title), name).catch(
      (error: unknown) => {
        throw new Error(['the page did not start', ...errors, String(error)].join('\n'));
      },
    );
    return driver;
  }

  /** What went wrong; undefined where the test has passed. */
  run(path: readonly string[]): Promise<string | undefined> {
    return this.#call((titles) => (globalThis as unknown as PageGlobals).suite.run(titles), path);
  }

  outcome(): Promise<SuiteOutcome | undefined> {
    return this.#call(() => (globalThis as unknown as PageGlobals).suite.outcome(), undefined);
  }

  close(): Promise<void> {
    return this.#page.close();
  }

  async #call<Argument, Result>(body: (argument: Argument) => Result, argument: Argument): Promise<Awaited<Result>> {
    const timer = setTimeout(() => this.#break(`the page has not answered for ${LIMIT_MS / 1000} s`), LIMIT_MS);
    try {
      const answer = this.#page.evaluate(body as never, argument) as Promise<Awaited<Result>>;
      return await Promise.race([this.#broken, answer]);
    } finally {
      clearTimeout(timer);
    }
  }
}
