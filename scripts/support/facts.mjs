// What the page says of a backend, out of its report.

/**
 * @typedef {import('@lowrank/conformance').KeptReport} KeptReport
 *
 * @typedef {object} Cell
 * @property {'yes' | 'composed'} support
 * @property {number} cases
 * @property {number} ofBound The largest error as a share of its bound, rounded up.
 * @property {number} nmse The largest normalized mean squared error, rounded up to a power of ten.
 *
 * @typedef {object} Facts
 * @property {string} name
 * @property {string} [device]
 * @property {Record<string, string | boolean>} manifest
 * @property {{ passed: number, excused: number }} counts
 * @property {Record<string, Cell>} kernels
 */

/** The operation that core composes in a fused kernel's place, by its name in the suite. @param {string} kernel */
function operationOf(kernel) {
  return kernel.replace(/(Weight)?Backward$/, '');
}

/** The next number of one significant digit. @param {number} value */
export function roundUp(value) {
  if (value === 0) return 0;
  const digit = 10 ** Math.floor(Math.log10(value));
  return Number((Math.ceil(value / digit - 1e-9) * digit).toPrecision(1));
}

/** The next power of ten. @param {number} value */
export function powerUp(value) {
  return value === 0 ? 0 : Number(`1e${Math.ceil(Math.log10(value) - 1e-9)}`);
}

/**
 * @param {KeptReport} report
 * @returns {Facts}
 */
export function factsOf({ name, device, supports, kernels, rules }) {
  const names = [...new Set([...Object.keys(kernels.test), ...Object.keys(kernels.grad)])];
  const cells = names.map((kernel) => {
    const own = [kernels.test[kernel], kernels.grad[kernel]].filter((row) => row !== undefined);
    const offered = own.some(({ passed, failed }) => passed + failed > 0);
    // Of what core composes, the operation was judged in its place; of products with blocks, the plain product.
    const composed = [kernels.composed[operationOf(kernel)]].filter((row) => row !== undefined);
    const rows = offered ? own : composed;
    const worst = (/** @type {'maxOverBound' | 'nmse'} */ figure) =>
      rows.reduce((most, { errors }) => Math.max(most, errors[figure]), 0);
    const cases = rows.reduce((sum, { passed }) => sum + passed, 0);
    /** @type {Cell['support']} */
    const support = offered ? 'yes' : 'composed';
    return [kernel, { support, cases, ofBound: roundUp(worst('maxOverBound')), nmse: powerUp(worst('nmse')) }];
  });
  const all = [...Object.values(kernels).flatMap((rows) => Object.values(rows)), rules];
  const total = (/** @type {'passed' | 'skipped'} */ key) => all.reduce((sum, row) => sum + row[key], 0);
  return {
    name,
    ...(device === undefined ? {} : { device }),
    manifest: {
      precision: supports.precision,
      'fused multiply-add': supports.fusedMultiplyAdd,
      deterministic: supports.deterministic,
      'NaN and infinities': supports.nonFinite,
      'block formats': supports.blockFormats.join(', '),
    },
    counts: { passed: total('passed'), excused: total('skipped') },
    kernels: Object.fromEntries(cells),
  };
}
