/**
 * npm writes a lockfile without those optional packages that it could not reach, such as the native parts for another
 * system, and `npm ci` then refuses that lockfile wherever they can be reached.
 *
 * @typedef {object} Entry
 * @property {string} [version]
 * @property {string} [resolved]
 * @property {boolean} [link]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {Record<string, string>} [optionalDependencies]
 *
 * @typedef {{ packages: Record<string, Entry> }} Lockfile
 */

/**
 * The optional packages that the lockfile's packages name and the lockfile does not hold.
 *
 * @param {Lockfile} lockfile
 * @returns {{ name: string, version: string, dev: boolean }[]}
 */
export function missingOptionalPackages({ packages }) {
  const missing = [];
  for (const [path, { optionalDependencies = {}, dev = false }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const nested = `${path}/node_modules/${name}`;
      if (!packages[nested] && !packages[`node_modules/${name}`]) missing.push({ name, version, dev });
    }
  }
  return missing;
}
