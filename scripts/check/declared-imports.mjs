import { readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

const IMPORT = /(?:from|import|import\()\s*['"](@?\w[\w@/.-]*)['"]|import\(`(@?\w[\w@/.-]*)`\)/g;

/**
 * What the built files of a package import, types included, held against what its package.json declares.
 *
 * @param {string} folder
 * @returns {string[]} complaints
 */
export function judgeImports(folder) {
  /** @type {{ name: string, dependencies?: Record<string, string>, peerDependencies?: Record<string, string> }} */
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
  const files = readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' });
  const texts = files
    .filter((file) => /\.(d\.ts|js)$/.test(file))
    .map((file) => readFileSync(join(folder, 'dist', file), 'utf8'));
  const specifiers = texts.flatMap((text) =>
    Array.from(text.matchAll(IMPORT), ([, quoted, minified]) => quoted ?? minified ?? ''),
  );
  const imported = new Set(specifiers.filter((specifier) => !isBuiltin(specifier)).map(packageOf));
  imported.delete(manifest.name);
  return [
    ...[...imported].filter((name) => !declared.has(name)).map((name) => `imports ${name} and does not declare it`),
    ...[...declared]
      // A name that is handed to import() or to a compiler stands as a string by itself.
      .filter(
        (name) =>
          !imported.has(name) && !texts.some((text) => [`'`, `"`, '`'].some((q) => text.includes(q + name + q))),
      )
      .map((name) => `declares ${name} and does not import it`),
  ];
}

/** @param {string} specifier */
function packageOf(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
