import { columns } from './columns.mjs';

/** @typedef {import('./facts.mjs').Facts} Facts */

/**
 * How what is printed differs from what was measured, a line each; nothing where the page is up to date.
 *
 * @param {readonly Facts[]} printed
 * @param {readonly Facts[]} measured
 * @returns {string[]}
 */
export function differences(printed, measured) {
  return columns.flatMap((column) => {
    const [page, run] = [printed, measured].map((all) => all.find(({ name }) => name === column.name));
    if (run === undefined) return [`${column.name}: no report; its conformance tests did not run to their end`];
    if (page === undefined) return [`${column.name}: measured, but not on the page`];
    return columnDifferences(page, run, column.exact);
  });
}

/**
 * @param {Facts} page
 * @param {Facts} run
 * @param {boolean} exact
 */
function columnDifferences(page, run, exact) {
  const found = [];
  const { name } = page;
  for (const key of /** @type {const} */ (['manifest', 'counts'])) {
    const [a, b] = [page[key], run[key]].map((value) => JSON.stringify(value));
    if (a !== b) found.push(`${name}: ${key} ${a} on the page, ${b} measured`);
  }
  const sameMachine = exact || (page.device !== undefined && page.device === run.device);
  for (const kernel of new Set([...Object.keys(page.kernels), ...Object.keys(run.kernels)])) {
    const [a, b] = [page.kernels[kernel], run.kernels[kernel]];
    if (a === undefined || b === undefined || a.support !== b.support || a.cases !== b.cases) {
      const [before, now] = [a, b].map((cell) =>
        cell === undefined ? 'nothing' : `${cell.support}, ${cell.cases} cases`,
      );
      found.push(`${name}, ${kernel}: ${before} on the page, ${now} measured`);
    } else if (sameMachine && (a.ofBound !== b.ofBound || a.nmse !== b.nmse)) {
      found.push(
        `${name}, ${kernel}: ${a.ofBound} of the bound on the page, ${b.ofBound} measured (NMSE ${a.nmse}, ${b.nmse})`,
      );
    }
  }
  return found;
}
