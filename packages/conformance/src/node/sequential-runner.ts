import type { Runner } from '../runner.ts';

interface Test {
  /** The descriptions around it and its own name, outermost first. */
  readonly path: readonly string[];
  readonly body: () => Promise<void>;
}

/** How one test ended. */
export interface TestResult {
  readonly path: readonly string[];
  /** What was thrown; undefined when it passed. */
  readonly error: unknown;
}

/** A runner that notes the tests as they are defined, and runs them one after another when `run` is called. */
export class SequentialRunner implements Runner {
  private readonly tests: Test[] = [];
  private path: readonly string[] = [];

  describe(name: string, body: () => void): void {
    const outside = this.path;
    this.path = [...outside, name];
    body();
    this.path = outside;
  }

  it(name: string, body: () => Promise<void>): void {
    this.tests.push({ path: [...this.path, name], body });
  }

  async run(onResult: (result: TestResult) => void): Promise<void> {
    for (const { path, body } of this.tests) {
      let error: unknown;
      try {
        await body();
      } catch (thrown) {
        error = thrown ?? new Error('undefined was thrown');
      }
      onResult({ path, error });
    }
  }
}
