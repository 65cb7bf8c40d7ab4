/**
 * What can follow the set-up.
 *
 * @typedef {object} Command
 * @property {string} summary one line for `--help`
 * @property {string[]} run arguments for Node, relative to the root
 * @property {string} [usageFile] text printed for `--help`, so that help needs nothing installed
 */

const source = '--conditions=@lowrank/source';

/** @type {Record<string, Command>} */
export const commands = {
  demo: {
    summary: 'fine-tunes a small language model on the café orders and shows before and after',
    run: [source, 'examples/orders/demo.ts'],
    usageFile: 'examples/orders/usage.txt',
  },
  test: {
    summary: 'runs the whole test suite, or the files that match the arguments',
    run: [source, 'scripts/test.mjs'],
    usageFile: 'scripts/test.usage.txt',
  },
  check: {
    summary: 'types, lint, import rules, builds, published packages, formatting',
    run: ['scripts/check.mjs'],
    usageFile: 'scripts/check.usage.txt',
  },
  support: {
    summary: 'measures every backend and makes docs/support.md of it',
    run: [source, 'scripts/support.mjs'],
    usageFile: 'scripts/support.usage.txt',
  },
  bench: {
    summary: 'benchmarks, beside peers: npm run bench -- --help lists them',
    run: [source, 'bench/main.ts'],
    usageFile: 'bench/usage.txt',
  },
  'tfjs-node': {
    summary: 'installs tfjs-node in the cache, for the tests of the TensorFlow.js backend',
    run: [source, 'scripts/tfjs-node/main.mjs'],
    usageFile: 'scripts/tfjs-node/usage.txt',
  },
};
