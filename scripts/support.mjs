// Makes docs/support.md: runs the conformance tests of every backend, and writes what they measured.
//
//   node --conditions=@lowrank/source scripts/support.mjs [--measured | --check]
import { startVitest } from 'vitest/node';
import { checkPage, forgetReports, writePage } from './support/index.mjs';
import { installForTests, nameTfjsNode } from './test/install-tfjs-node.mjs';

const [option] = process.argv.slice(2);

async function measure() {
  nameTfjsNode();
  await installForTests();
  forgetReports();
  const files = ['conformance.test', 'examples/third-party-backend/backend', 'e2e/browser'];
  // Only the suite itself, whatever else stands in those files.
  const vitest = await startVitest('test', files, { watch: false, testNamePattern: 'backend conformance' });
  const failed = vitest.state.getCountOfFailedTests();
  await vitest.close();
  if (failed > 0) throw new Error(`${failed} tests failed: nothing is written`);
}

if (option === '--check') {
  const { stale, lines } = checkPage();
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = stale > 0 ? 1 : 0;
} else {
  if (option !== '--measured') await measure();
  process.stdout.write(`docs/support.md: ${writePage().join(', ')}\n`);
  // Devices and workers that tests leave behind must not keep this open.
  process.exit(0);
}
