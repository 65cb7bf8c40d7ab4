import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { reportFolder } from '@lowrank/conformance/node';
import { root } from '../setup/stage.mjs';
import { columns } from './columns.mjs';

/** @typedef {import('@lowrank/conformance').KeptReport} KeptReport */

const folder = join(root, reportFolder);

/** @param {string} name */
const pathOf = (name) => join(folder, `${name.replaceAll(/[^\w.-]+/g, '-')}.json`);

/** Those of runs before say nothing of this one. */
export function forgetReports() {
  rmSync(folder, { recursive: true, force: true });
}

/** The reports of the columns whose tests have run. @returns {KeptReport[]} */
export function readReports() {
  return columns
    .map(({ name }) => pathOf(name))
    .filter((path) => existsSync(path))
    .map((path) => /** @type {KeptReport} */ (JSON.parse(readFileSync(path, 'utf8'))));
}
