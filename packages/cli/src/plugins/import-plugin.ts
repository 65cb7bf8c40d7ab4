import { pathToFileURL } from 'node:url';
import { moduleResolve } from 'import-meta-resolve';

/** Why a plugin could not be loaded. */
export class PluginNotFound extends Error {
  override readonly name = 'PluginNotFound';
}

/**
 * Imports a package or a file (`./my-backend.ts`). Packages are looked for from the working folder first, where the
 * user installs theirs, then among the command's own.
 * @throws PluginNotFound where there is no such package or file; what the module throws goes through as it is.
 */
export async function importPlugin(specifier: string): Promise<Readonly<Record<string, unknown>>> {
  return (await import(pluginUrl(specifier))) as Readonly<Record<string, unknown>>;
}

/** The URL that a package or file is imported from. */
export function pluginUrl(specifier: string): string {
  const workingFolder = pathToFileURL(`${process.cwd()}/`).href;
  for (const parent of isPath(specifier) ? [workingFolder] : [workingFolder, import.meta.url]) {
    try {
      return moduleResolve(specifier, new URL(parent), conditions()).href;
    } catch (error) {
      if (!notThere.has(String((error as { code?: unknown }).code))) throw error;
    }
  }
  throw new PluginNotFound(
    isPath(specifier) ? `there is no file ${specifier}` : `the package ${specifier} is not installed`,
  );
}

const notThere = new Set(['ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_DIR_IMPORT', 'ERR_INVALID_MODULE_SPECIFIER']);

/** The `exports` conditions that this Node resolves imports by: its own, and those that `--conditions` adds. */
function conditions(): Set<string> {
  const flags = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')].join('\n');
  const added = Array.from(flags.matchAll(/^(?:--conditions|-C)[=\n](\S+)$/gm), ([, condition]) => condition!);
  return new Set(['node', 'import', ...added]);
}

/** Whether a name is a file's rather than a package's. */
export function isPath(specifier: string): boolean {
  return /^(\.{0,2}[/\\]|[a-z]:[/\\]|file:)/i.test(specifier);
}
