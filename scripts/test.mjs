// The test suite: fetches the model and the tfjs-node that some tests run on, then vitest on the sources. Ends with a line
// `N passed, N failed`, and with a failure where something failed or where nothing ran.
import { parseCLI, startVitest } from 'vitest/node';
import { SetupError } from './setup/stage.mjs';
import { countTests } from './test/count-tests.mjs';
import { installForTests, nameTfjsNode } from './test/install-tfjs-node.mjs';
import { checkPage, forgetReports } from './support/index.mjs';

/** @param {import('./test/count-tests.mjs').Counts} counts */
function end({ passed, failed, skipped }) {
  const rest = skipped > 0 ? `, ${skipped} skipped` : '';
  // At once, and not when the event loop is empty: a worker left behind must not keep the run open.
  process.stdout.write(`${passed} passed, ${failed} failed${rest}\n`, () =>
    process.exit(failed > 0 || passed === 0 ? 1 : 0),
  );
}

/**
 * How many cases of the conformance suite each backend ran, and whether docs/support.md says what they gave: one test more.
 *
 * @param {import('./test/count-tests.mjs').Counts} counts
 */
function checkSupportPage(counts) {
  const { stale, lines } = checkPage();
  process.stdout.write(`${lines.join('\n')}\n`);
  counts[stale === 0 ? 'passed' : 'failed'] += 1;
}

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
try {
  if (filter.length === 0) {
    const { fetchTestModel } = await import('./test/fetch-test-model.mjs');
    await fetchTestModel();
  }
  nameTfjsNode();
  if (filter.length === 0) await installForTests();
  const whole = filter.length === 0 && options.testNamePattern === undefined;
  if (whole) forgetReports();
  const vitest = await startVitest('test', filter, { ...options, watch: false });
  const counts = countTests(vitest.state);
  await vitest.close();
  if (whole) checkSupportPage(counts);
  if (counts.passed + counts.failed === 0) process.stderr.write('No test ran.\n');
  end(counts);
} catch (error) {
  process.stderr.write(error instanceof SetupError ? `${error.message}\n${error.advice}\n` : `${String(error)}\n`);
  end({ passed: 0, failed: 1, skipped: 0 });
}
