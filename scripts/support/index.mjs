import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/stage.mjs';
import { columns } from './columns.mjs';
import { factsOf } from './facts.mjs';
import { pageOf } from './page.mjs';
import { readReports } from './reports.mjs';
import { differences } from './staleness.mjs';

export { forgetReports } from './reports.mjs';

/** @typedef {import('./facts.mjs').Facts} Facts */

const page = join(root, 'docs', 'support.md');
/** The page's numbers, for programs: what the page is made of, and compared by. */
const numbers = join(root, 'docs', 'support.json');

/** @param {readonly Facts[]} facts */
const inOrder = (facts) => columns.flatMap(({ name }) => facts.filter((column) => column.name === name));

/** @returns {Facts[]} */
function printedFacts() {
  try {
    return JSON.parse(readFileSync(numbers, 'utf8'));
  } catch {
    return [];
  }
}

/** Makes the page of what was measured last; columns without a report stay as they are. Gives the names of the measured. */
export function writePage() {
  const measured = readReports().map(factsOf);
  const kept = printedFacts().filter(({ name }) => !measured.some((column) => column.name === name));
  const facts = inOrder([...measured, ...kept]);
  writeFileSync(numbers, `${JSON.stringify(facts, undefined, 2)}\n`);
  writeFileSync(page, pageOf(facts));
  return measured.map(({ name }) => name);
}

/** How many cases each backend ran, and how the page differs from what was measured last, a line each. */
export function checkPage() {
  const measured = readReports().map(factsOf);
  const printed = printedFacts();
  const stale = differences(printed, measured);
  if (printed.length > 0 && readFileSync(page, 'utf8') !== pageOf(printed)) {
    stale.push('docs/support.md is not what docs/support.json makes');
  }
  const cases = measured.map(({ name, counts }) => `${name}: ${counts.passed} cases, ${counts.excused} excused`);
  const advice = stale.length > 0 ? ['docs/support.md is stale: npm run support'] : [];
  return { stale: stale.length, lines: [...cases, ...stale.map((line) => `stale: ${line}`), ...advice] };
}
