/**
 * What `docs/support.md` has a column for: one line for each backend and engine. The name is the one that its conformance
 * test gives to `keepReport` or `writeReport`.
 *
 * @typedef {object} Column
 * @property {string} name
 * @property {boolean} exact The same bits on every machine, so that the errors printed must be those measured.
 */

/** @type {readonly Column[]} */
export const columns = [
  { name: 'reference', exact: true },
  { name: 'cpu:native', exact: true },
  { name: 'cpu:wasm', exact: true },
  { name: 'cpu:wasm-baseline', exact: true },
  { name: 'cpu:wasm-unshared', exact: true },
  { name: 'webgpu', exact: false },
  { name: 'tfjs:node', exact: false },
  { name: 'tfjs:wasm', exact: false },
  { name: 'tfjs:cpu', exact: true },
  { name: 'cpu:wasm (Chromium)', exact: true },
  { name: 'cpu:wasm-baseline (Chromium)', exact: true },
  { name: 'cpu:wasm-unshared (Chromium)', exact: true },
  { name: 'webgpu (Chromium)', exact: false },
  { name: 'tfjs:webgl', exact: false },
  { name: 'tfjs:webgpu', exact: false },
  { name: 'arrays', exact: true },
];
