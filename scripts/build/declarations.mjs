import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAst } from 'rolldown/parseAst';

/**
 * What TypeScript declares for each module, rolled up into one file for an entry: the declarations that can be reached from it,
 * with their docstrings, and neither imports between modules nor what is nobody's business. It knows what the packages' declarations
 * consist of and says so where it meets anything else.
 *
 * @typedef {{ file: string, name: string, type?: boolean } | { from: string, name: string, type: boolean } | { namespace: string }} Target a declaration
 *   in a module, another package's, or a whole module
 * @typedef {{ text: string, names: Set<string> }} Declaration its source with the docstring, and the other identifiers in it
 * @typedef {object} Module
 * @property {Map<string, { from: string, name: string }>} imports by local name
 * @property {Map<string, Declaration[]>} declarations overloads and merged ones together
 * @property {Map<string, { from?: string, name: string, type: boolean }>} exports
 * @property {string[]} all what is re-exported whole
 * @property {Map<string, string>} namespaces
 * @property {string[]} references directives
 */

/**
 * @param {string} entry the declarations of the entry's module
 * @param {string} [first] those of the package's first entry, from which others import what both declare
 * @returns {string}
 */
export function rollUp(entry, first) {
  /** @type {Map<string, Map<string, Declaration[]>>} */
  const needed = new Map();
  /** @type {Map<string, Set<string>>} */
  const imported = new Map();
  /** @type {Map<string, string>} */
  const shared = new Map();
  if (first !== undefined) {
    for (const [name, target] of exportsOf(first)) if ('file' in target) shared.set(key(target), name);
  }
  /** @type {Set<string>} */
  const references = new Set();

  /** @param {string} from @param {string} specifier */
  const importFrom = (from, specifier) => imported.set(from, (imported.get(from) ?? new Set()).add(specifier));

  /** @param {Target} target @param {string} name what it is called where it is needed */
  const need = (target, name) => {
    if ('namespace' in target) throw new Error(`${entry} needs the namespace ${name}`);
    if ('from' in target) {
      importFrom(target.from, target.name === name ? name : `${target.name} as ${name}`);
      return;
    }
    if (target.name !== name) throw new Error(`${target.file}: ${target.name} is called ${name} elsewhere`);
    const known = shared.get(key(target));
    if (known !== undefined) {
      importFrom('./index.js', known === name ? name : `${known} as ${name}`);
      return;
    }
    const declarations = moduleOf(target.file).declarations.get(name) ?? [];
    const files = needed.get(name) ?? new Map();
    if (files.has(target.file)) return;
    needed.set(name, files.set(target.file, declarations));
    if (files.size > 1) throw new Error(`${[...files.keys()].join(' and ')} both declare ${name}: rename one`);
    needAllIn(target.file, declarations);
  };

  /** @param {string} file @param {Declaration[]} declarations */
  const needAllIn = (file, declarations) => {
    for (const reference of moduleOf(file).references) references.add(reference);
    for (const name of declarations.flatMap(({ names }) => [...names])) {
      const target = resolve(file, name);
      if (target !== undefined) need(target, name);
    }
  };

  /** @param {string} name @param {{ file: string, name: string, type?: boolean }} target */
  const standsExported = (name, target) =>
    target.name === name &&
    !shared.has(key(target)) &&
    // A class that is exported as a type cannot be made outside.
    !(
      target.type &&
      moduleOf(target.file)
        .declarations.get(name)
        ?.some(({ text }) => /^(?:export )?declare /m.test(text))
    );

  const lines = [];
  const exported = exportsOf(entry);
  for (const [name, target] of exported) {
    if ('namespace' in target) {
      const members = [...exportsOf(target.namespace)].map(([member, place]) => {
        if (!('file' in place) || place.name !== member) throw new Error(`${name}.${member} is declared elsewhere`);
        const declarations = moduleOf(place.file).declarations.get(member) ?? [];
        needAllIn(place.file, declarations);
        return declarations.map(({ text }) => text.replace(/^export declare /m, 'export ')).join('\n');
      });
      lines.push(`export declare namespace ${name} {\n${members.join('\n')}\n}`);
    } else if ('from' in target) {
      const alias = target.name === name ? name : `${target.name} as ${name}`;
      lines.push(`export ${target.type ? 'type ' : ''}{ ${alias} } from '${target.from}';`);
    } else {
      need(target, target.name);
      const alias = target.name === name ? name : `${target.name} as ${name}`;
      if (!standsExported(name, target)) lines.push(`export ${target.type ? 'type ' : ''}{ ${alias} };`);
    }
  }
  for (const [name, files] of needed) {
    const target = exported.get(name);
    for (const [file, declarations] of files) {
      const isExported =
        target !== undefined && 'file' in target && target.file === file && standsExported(name, target);
      for (const { text } of declarations) lines.push(isExported ? text : text.replace(/^export /m, ''));
    }
  }
  const imports = [...imported].map(([from, names]) => `import type { ${[...names].join(', ')} } from '${from}';`);
  return `${[...references, ...imports, ...lines, 'export {};'].join('\n')}\n`;
}

/** @param {{ file: string, name: string }} target */
const key = ({ file, name }) => `${file}\0${name}`;

/** @type {Map<string, Module>} */
const modules = new Map();

/** @param {string} file @returns {Module} */
function moduleOf(file) {
  const known = modules.get(file);
  if (known !== undefined) return known;
  const source = readFileSync(file, 'utf8');
  /** @type {Module} */
  const made = {
    imports: new Map(),
    declarations: new Map(),
    exports: new Map(),
    all: [],
    namespaces: new Map(),
    references: source.match(/^\/\/\/ <reference .*$/gm) ?? [],
  };
  modules.set(file, made);
  let end = 0;
  for (const node of parseAst(source, { lang: 'dts' }).body) {
    const before = source.slice(end, node.start);
    end = node.end;
    if (node.type === 'ImportDeclaration') {
      for (const specifier of node.specifiers) {
        if (specifier.type !== 'ImportSpecifier') throw new Error(`${file} imports other than by name`);
        made.imports.set(specifier.local.name, { from: node.source.value, name: nameOf(specifier.imported) });
      }
    } else if (node.type === 'ExportAllDeclaration') {
      if (node.exported === null) made.all.push(node.source.value);
      else made.namespaces.set(nameOf(node.exported), node.source.value);
    } else if (node.type === 'ExportNamedDeclaration' && node.declaration === null) {
      for (const { local, exported, exportKind } of node.specifiers) {
        const type = node.exportKind === 'type' || exportKind === 'type';
        const place = node.source === null ? {} : { from: node.source.value };
        made.exports.set(nameOf(exported), { ...place, name: nameOf(local), type });
      }
    } else {
      const isExported = node.type === 'ExportNamedDeclaration';
      const declaration = isExported ? node.declaration : node;
      const name = declaredName(declaration);
      if (name === undefined) throw new Error(`${file} holds a ${node.type}, which is not known here`);
      const docstring = /\/\*\*(?:(?!\*\/)[^])*\*\/\s*$/.exec(before)?.[0].trim();
      const text = [docstring, source.slice(node.start, node.end)].filter(Boolean).join('\n');
      const declarations = made.declarations.get(name) ?? [];
      declarations.push({ text: text.replaceAll('    ', '\t'), names: identifiers(declaration, name) });
      made.declarations.set(name, declarations);
      if (isExported) made.exports.set(name, { name, type: false });
    }
  }
  return made;
}

/** @param {any} declaration @returns {string | undefined} */
function declaredName(declaration) {
  if (declaration?.type !== 'VariableDeclaration') return declaration?.id?.name;
  return declaration.declarations.length === 1 ? declaration.declarations[0].id.name : undefined;
}

/** @param {any} node an identifier or a string */
function nameOf(node) {
  return String(node.name ?? node.value);
}

/**
 * More than are references, names of properties among them: at worst a declaration stays that is not needed.
 *
 * @param {unknown} node
 * @param {string} own the name that it declares
 */
function identifiers(node, own, found = /** @type {Set<string>} */ (new Set())) {
  if (typeof node !== 'object' || node === null) return found;
  if ('type' in node && node.type === 'Identifier' && 'name' in node && node.name !== own) found.add(String(node.name));
  for (const part of Object.values(node)) identifiers(part, own, found);
  return found;
}

/** What a name means in a module; undefined where it is a global, or no reference at all. @param {string} file @param {string} name @returns {Target | undefined} */
function resolve(file, name) {
  const made = moduleOf(file);
  if (made.declarations.has(name)) return { file, name };
  const imported = made.imports.get(name);
  return imported && find(file, imported.from, imported.name, true);
}

/** @param {string} file @param {string} from @param {string} name @param {boolean} type @returns {Target} */
function find(file, from, name, type) {
  const path = pathOf(file, from);
  if (path === undefined) return { from, name, type };
  const target = exportsOf(path).get(name);
  if (target === undefined) throw new Error(`${path} does not export ${name}, which ${file} imports`);
  return target;
}

/** @param {string} file @returns {Map<string, Target>} */
function exportsOf(file) {
  const made = moduleOf(file);
  /** @type {Map<string, Target>} */
  const found = new Map();
  for (const from of made.all) {
    const path = pathOf(file, from);
    if (path === undefined) throw new Error(`${file} exports all of ${from}`);
    for (const [name, target] of exportsOf(path)) found.set(name, target);
  }
  for (const [name, { from, name: local, type }] of made.exports) {
    const target = from === undefined ? resolve(file, local) : find(file, from, local, type);
    if (target === undefined) throw new Error(`${file} exports ${local}, which it does not have`);
    found.set(name, type && 'file' in target ? { ...target, type } : target);
  }
  for (const [name, from] of made.namespaces) {
    const path = pathOf(file, from);
    if (path === undefined) throw new Error(`${file} exports the namespace ${from}`);
    found.set(name, { namespace: path });
  }
  return found;
}

/** The declarations that a relative import means. @param {string} file @param {string} from */
function pathOf(file, from) {
  if (!from.startsWith('.')) return undefined;
  const path = join(dirname(file), from.replace(/\.(?:js|ts)$/, '.d.ts'));
  if (!existsSync(path)) throw new Error(`${file} imports ${from}, which is not there`);
  return path;
}
