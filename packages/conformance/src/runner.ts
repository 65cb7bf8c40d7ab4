/** The two functions of a test runner that the suites use: vitest's, node:test's, jest's. */
export interface Runner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
}
