// The test suite, by vitest, on the sources. Ends with a line `N passed, N failed`, and with a failure where something
// failed or where nothing ran.
import { parseCLI, startVitest } from 'vitest/node';
import { countTests } from './test/count-tests.mjs';

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);

const vitest = await startVitest('test', filter, { ...options, watch: false });
const { passed, failed, skipped } = countTests(vitest.state);
await vitest.close();

if (passed + failed === 0) process.stderr.write('No test ran.\n');
const rest = skipped > 0 ? `, ${skipped} skipped` : '';
process.stdout.write(`${passed} passed, ${failed} failed${rest}\n`);
// Explicitly, and not when the event loop is empty: a worker left behind must not keep the run open.
process.exit(failed > 0 || passed === 0 ? 1 : 0);
