import type { Backend } from '@lowrank/core';
import { requireInterfaceVersion } from '@lowrank/core';
import { CliError } from './cli-error.ts';
import { importPlugin, isPath, PluginNotFound } from './plugins/import-plugin.ts';

/** A backend of ours: its package, and what may follow its name after a colon. */
interface KnownBackend {
  readonly name: string;
  readonly package: string;
  readonly export: string;
  readonly engines: readonly string[];
  /** Less precise products, by what they round their operands to: `cpu:bf16`. */
  readonly products?: Readonly<Record<string, BackendOptions>>;
}

const knownBackends: readonly KnownBackend[] = [
  {
    name: 'cpu',
    package: '@lowrank/backend-cpu',
    export: 'cpu',
    engines: ['native', 'wasm', 'wasm-baseline', 'wasm-unshared'],
    products: { bf16: { productOperands: 'bf16' } },
  },
  {
    name: 'webgpu',
    package: '@lowrank/backend-webgpu',
    export: 'webgpu',
    engines: [],
    products: { f16: { features: ['shader-f16'] } },
  },
  { name: 'tfjs', package: '@lowrank/backend-tfjs', export: 'tfjs', engines: ['node', 'wasm', 'cpu'] },
];

/** The names that `--backend` knows by itself: `cpu`, `cpu:native`, `cpu:bf16`, ... */
export const backendNames: readonly string[] = knownBackends.flatMap(({ name, engines, products = {} }) => [
  // tfjs has no engine of its own choice.
  ...(name === 'tfjs' ? [] : [name]),
  ...[...engines, ...Object.keys(products)].map((variant) => `${name}:${variant}`),
]);

/** What a backend's function is called with. */
interface BackendOptions {
  readonly engine?: string;
  readonly productOperands?: string;
  readonly features?: readonly string[];
  readonly threads?: number;
}

/**
 * Opens a backend by name: `cpu`, `tfjs:node`, a package (`my-backend`, `my-backend:engine`) or a file. A third party's
 * module has an async function as its default export that takes `{ engine, threads }` and gives a `Backend`.
 * @throws CliError CLI_BACKEND for one that is not there or is no backend; BackendError when it cannot run here.
 */
export async function openBackend(name: string, threads?: number): Promise<Backend> {
  const { specifier, variant, known } = parseBackendName(name);
  const open = await backendFunction(name, specifier, known);
  const backend: unknown = await open({
    ...optionsOf(variant, known),
    ...(threads === undefined ? {} : { threads }),
  });
  if (!isBackend(backend)) {
    throw new CliError('CLI_BACKEND', `what ${specifier} gives is no backend: it has no name, kernels or manifest`, {
      value: name,
    });
  }
  requireInterfaceVersion(backend);
  return backend;
}

interface BackendName {
  readonly specifier: string;
  /** What follows the colon: an engine, or what products round their operands to. */
  readonly variant: string | undefined;
  readonly known: KnownBackend | undefined;
}

function optionsOf(variant: string | undefined, known: KnownBackend | undefined): BackendOptions {
  if (variant === undefined) return {};
  return known?.products?.[variant] ?? { engine: variant };
}

/** @throws CliError CLI_BACKEND for an engine that one of ours does not have. */
function parseBackendName(name: string): BackendName {
  const at = isPath(name) ? -1 : name.indexOf(':');
  const [base, variant] = at < 0 ? [name, undefined] : [name.slice(0, at), name.slice(at + 1)];
  const known = knownBackends.find((backend) => backend.name === base);
  if (known === undefined) return { specifier: base, variant, known };
  if (!backendNames.includes(name)) {
    const names = backendNames.filter((other) => other === base || other.startsWith(`${base}:`));
    throw new CliError('CLI_BACKEND', `there is no backend '${name}'; there are ${names.join(', ')}`, { value: name });
  }
  return { specifier: known.package, variant, known };
}

async function backendFunction(
  name: string,
  specifier: string,
  known: KnownBackend | undefined,
): Promise<(options: BackendOptions) => Promise<unknown>> {
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await importPlugin(specifier);
  } catch (error) {
    if (!(error instanceof PluginNotFound)) throw error;
    const advice = isPath(specifier)
      ? ''
      : known === undefined
        ? `; install it (npm install ${specifier}), or take one of ${backendNames.join(', ')}`
        : `; npm install ${specifier}`;
    throw new CliError('CLI_BACKEND', `the backend '${name}' is not there: ${error.message}${advice}`, {
      value: name,
      cause: error,
    });
  }
  const open = module[known?.export ?? 'default'];
  if (typeof open !== 'function') {
    throw new CliError(
      'CLI_BACKEND',
      `${specifier} has no default export that opens a backend: export default async (options) => backend`,
      { value: name },
    );
  }
  return open as (options: BackendOptions) => Promise<unknown>;
}

function isBackend(value: unknown): value is Backend {
  return typeof value === 'object' && value !== null && ['name', 'kernels', 'supports'].every((key) => key in value);
}
