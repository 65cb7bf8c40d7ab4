/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 */

/**
 * Counts what vitest ran. A file that fails as a whole (a syntax error, a hook) and an error outside of any test count
 * as one failure each.
 *
 * @param {import('vitest/node').Vitest['state']} state
 * @returns {Counts}
 */
export function countTests(state) {
  const counts = { passed: 0, failed: state.getUnhandledErrors().length, skipped: 0 };
  for (const module of state.getTestModules()) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      const result = test.result().state;
      if (result === 'passed') counts.passed += 1;
      else if (result === 'skipped') counts.skipped += 1;
      else failedHere += 1;
    }
    if (failedHere === 0 && module.state() === 'failed') failedHere = 1;
    counts.failed += failedHere;
  }
  return counts;
}
