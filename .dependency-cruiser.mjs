/** How names are resolved: as the sources run here, through each package's exports. */
export const resolveOptions = {
  exportsFields: ['exports'],
  conditionNames: ['@lowrank/source', 'import', 'node', 'default'],
  extensions: ['.ts', '.js', '.mjs', '.json'],
};

/**
 * The import rules of the house, on resolved files, so that a relative path out of a package is caught as well as a name.
 * `e2e/import-rules.test.ts` plants forbidden imports and checks that each is found.
 *
 * @type {import('dependency-cruiser').IConfiguration}
 */
export default {
  forbidden: [
    {
      name: 'core-knows-no-plugin',
      comment: 'core imports no other package of this repository, not even their types.',
      severity: 'error',
      from: { path: '^packages/core/src/' },
      to: { path: '^(packages|bench|e2e|examples)/', pathNot: '^packages/core/' },
    },
    {
      name: 'plugins-import-core-only',
      comment: 'An adapter, a backend or the conformance suite imports core and nothing else from this repository.',
      severity: 'error',
      from: { path: '^packages/(adapter-[^/]+|backend-[^/]+|conformance)/src/' },
      to: { path: '^(packages|bench|e2e|examples)/', pathNot: '^packages/(core|$1)/' },
    },
    {
      name: 'plugin-tests-import-core-and-conformance',
      comment: "Core's and a plugin's tests may use the conformance suite besides core.",
      severity: 'error',
      from: { path: '^packages/(core|adapter-[^/]+|backend-[^/]+|conformance)/(?!src/)' },
      to: { path: '^(packages|bench|e2e|examples)/', pathNot: '^packages/(core|conformance|$1)/' },
    },
    {
      name: 'io-imports-core-types-only',
      comment: 'An io package turns files into named arrays: of core it uses types alone.',
      severity: 'error',
      from: { path: '^packages/(io-[^/]+)/src/' },
      to: { path: '^packages/', pathNot: '^packages/$1/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'io-imports-core-only',
      severity: 'error',
      from: { path: '^packages/(io-[^/]+)/src/' },
      to: { path: '^(packages|bench|e2e|examples)/', pathNot: '^packages/(core|$1)/' },
    },
    {
      name: 'models-name-no-backend',
      comment: 'Models take a backend and adapters as arguments.',
      severity: 'error',
      from: { path: '^packages/models/src/' },
      to: { path: '^packages/(backend-|adapter-|cli|conformance)' },
    },
    {
      name: 'packages-stand-alone',
      comment: 'Published sources import nothing from the unpublished folders.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { path: '^(bench|e2e|examples|scripts)/' },
    },
    {
      name: 'through-the-front-door',
      comment: 'Another package is imported by its name, that is through its exports, never by a path into it.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/' },
      to: { path: '^packages/', pathNot: '^packages/$1/', dependencyTypes: ['local'] },
    },
    {
      name: 'browser-clean',
      comment:
        'core, conformance and the adapters run in browsers: a Node module is imported dynamically or not at all.',
      severity: 'error',
      from: {
        path: '^packages/(core|conformance|adapter-[^/]+)/src/',
        pathNot: ['[.]test[.]ts$', '/node/', '[./-]node[.]ts$'],
      },
      to: { dependencyTypes: ['core'], dynamic: false },
    },
    {
      name: 'node-files-dynamically',
      comment: 'Files for Node alone (node.ts, *.node.ts, node/) are reached from the rest by dynamic imports.',
      severity: 'error',
      from: {
        path: '^packages/(core|conformance|adapter-[^/]+)/src/',
        pathNot: ['[.]test[.]ts$', '/node/', '[./-]node[.]ts$'],
      },
      to: { path: ['/node/', '[./-]node[.]ts$'], dynamic: false, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'declared-dependencies',
      comment: 'What published code imports stands in the dependencies of its package.json.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: '[.]test[.]ts$' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only', 'npm-peer'] },
    },
    {
      name: 'no-circular',
      comment: 'Cycles of types alone are fine: they are gone at run time.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      comment: '@webgpu/types holds types alone, and has no entry point.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@webgpu/types$' },
    },
  ],
  options: {
    parser: 'tsc',
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|generated)/' },
    enhancedResolveOptions: resolveOptions,
  },
};
