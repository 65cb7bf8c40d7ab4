import { backendConformance, keptReport, summary } from '@lowrank/conformance';
import type { KeptReport } from '@lowrank/conformance';
import type { BrowserBackend } from '../backends.ts';
import { pathRunner } from '../path-runner.ts';

export interface SuiteOutcome {
  readonly report: KeptReport;
  /** In one line. */
  readonly summary: string;
}

/** The suite over one backend, in the page: its tests run when they are asked for. */
export class SuiteInPage {
  readonly #tests = new Map<string, () => Promise<void>>();
  #outcome: SuiteOutcome | undefined;

  constructor(backend: BrowserBackend) {
    const runner = pathRunner(
      (_, body) => body(),
      (path, body) => {
        const key = path.join('\n');
        if (this.#tests.has(key)) throw new Error(`two tests are called ${path.join(' > ')}`);
        this.#tests.set(key, body);
      },
    );
    backendConformance(runner, () => backend.start(), {
      onReport: (report) => {
        this.#outcome = {
          report: keptReport(backend.name, report),
          summary: summary({ ...report, backend: backend.name }),
        };
      },
    });
  }

  /** What went wrong, as text; undefined where the test has passed. */
  async run(path: readonly string[]): Promise<string | undefined> {
    const body = this.#tests.get(path.join('\n'));
    if (body === undefined) return `the page has no test ${path.join(' > ')}`;
    try {
      await body();
      return undefined;
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  /** There when the last test is done. */
  outcome(): SuiteOutcome | undefined {
    return this.#outcome;
  }
}
