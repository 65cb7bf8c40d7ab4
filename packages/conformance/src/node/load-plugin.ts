/** From what the command line names to what is to be tested. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Adapter, Backend, ConfiguredAdapter } from '@lowrank/core';
import { CommandError } from './command-error.ts';

export type Plugin =
  | { readonly kind: 'backend'; readonly factory: () => Promise<Backend> }
  | {
      readonly kind: 'adapter';
      readonly adapter: Adapter;
      /** As a user writes it. */
      readonly config: Readonly<Record<string, unknown>>;
    };

export interface LoadOptions {
  /** Name of the export. Default: see `chooseExport`. */
  readonly export?: string | undefined;
  /** What the export is called with. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Imports a file (relative to the working directory) or a package that is installed there.
 * @throws CommandError where there is none, or where it exports neither a backend's factory nor an adapter.
 */
export async function loadPlugin(name: string, { export: chosen, options }: LoadOptions): Promise<Plugin> {
  const module = await importModule(name);
  const [key, value] = chooseExport(name, module, chosen);
  return asPlugin(`${name}, ${key}`, value, options);
}

async function importModule(name: string): Promise<Record<string, unknown>> {
  try {
    return (await import(locate(name))) as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new CommandError(
      `cannot import '${name}': ${message}. Name a file (./my-backend.js) or a package that is installed in this folder (npm install ${name})`,
      { cause: error },
    );
  }
}

function locate(name: string): string {
  const path = resolve(name);
  if (name.startsWith('.') || isAbsolute(name) || existsSync(path)) return pathToFileURL(path).href;
  // Packages are those of the working directory, wherever this command itself is installed.
  const from = createRequire(join(process.cwd(), 'index.js'));
  try {
    return pathToFileURL(from.resolve(name)).href;
  } catch {
    // A package that can only be imported: Node's own error tells what is wrong with it.
    return name;
  }
}

/** The export named; else the default one; else that with the package's own name; else the only function. */
function chooseExport(name: string, module: Record<string, unknown>, chosen: string | undefined): [string, unknown] {
  const available = Object.keys(module);
  const refuse = (problem: string): never => {
    const some = [...available.slice(0, 12), ...(available.length > 12 ? ['...'] : [])].join(', ') || 'nothing';
    throw new CommandError(`'${name}' ${problem}; it exports ${some}; choose with --export`);
  };
  if (chosen !== undefined) return chosen in module ? [chosen, module[chosen]] : refuse(`has no export '${chosen}'`);
  const functions = available.filter((key) => typeof module[key] === 'function' && !isClass(module[key]));
  const own = functions.find((key) => key.toLowerCase() === ownName(name));
  const only = functions.length === 1 ? functions[0] : undefined;
  const key = 'default' in module ? 'default' : (own ?? only);
  return key === undefined ? refuse('has no default export and several others') : [key, module[key]];
}

/** `@lowrank/backend-cpu` is `cpu`, `./my-backend.ts` is `mybackend`. */
function ownName(name: string): string {
  const last = name.split(/[/\\]/).at(-1)!;
  return last
    .replace(/[.][cm]?[jt]s$/, '')
    .replace(/^(lowrank-)?(backend|adapter)-/, '')
    .replaceAll('-', '')
    .toLowerCase();
}

function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Calls a function to see what it makes: a backend, or an adapter with its configuration. */
async function asPlugin(title: string, value: unknown, options: LoadOptions['options']): Promise<Plugin> {
  const adapter = asAdapter(value, options);
  if (adapter !== undefined) return adapter;
  if (typeof value !== 'function') throw neither(title, value);
  const make = (): unknown => (value as (options?: unknown) => unknown)(options);
  const made: unknown = await make();
  const configured = asAdapter(made, options);
  if (configured !== undefined) return configured;
  if (!isBackend(made)) throw neither(title, made);
  await made.dispose();
  return { kind: 'backend', factory: async () => (await make()) as Backend };
}

function neither(title: string, value: unknown): CommandError {
  const what = value === null ? 'null' : `a value of type ${typeof value}`;
  return new CommandError(
    `${title} is ${what}: neither an adapter nor an async function that gives a Backend; choose another with --export`,
  );
}

function asAdapter(value: unknown, options: LoadOptions['options'] = {}): Plugin | undefined {
  if (isAdapter(value)) return { kind: 'adapter', adapter: value, config: options };
  if (!isConfigured(value)) return undefined;
  // The suite hands a configuration to `parseConfig` itself, which takes what it gave.
  return { kind: 'adapter', adapter: value.adapter, config: { ...value.config } };
}

function has(value: unknown, ...names: readonly string[]): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && names.every((name) => name in value);
}

function isBackend(value: unknown): value is Backend {
  return has(value, 'kernels', 'supports', 'upload', 'read', 'dispose');
}

function isAdapter(value: unknown): value is Adapter {
  return has(value, 'type', 'parseConfig', 'setup', 'delta');
}

function isConfigured(value: unknown): value is ConfiguredAdapter {
  return has(value, 'adapter', 'config') && isAdapter(value['adapter']);
}
