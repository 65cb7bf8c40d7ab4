import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorsOf, linksOf } from './links.ts';
import { root } from './pages.ts';

describe('linksOf', () => {
  it('finds links inline and by reference, with what they quote', () => {
    const page = ['[a](x/y.ts) and [b](z.md#part "a name")', '', "[c]: ../d.ts 'another name'"].join('\n');
    expect(linksOf(page)).toEqual([
      { line: 1, path: 'x/y.ts', anchor: undefined, title: undefined },
      { line: 1, path: 'z.md', anchor: 'part', title: 'a name' },
      { line: 3, path: '../d.ts', anchor: undefined, title: 'another name' },
    ]);
  });

  it('leaves out code and what leads elsewhere', () => {
    const page = ['`[a](x.ts)` [b](https://example.com)', '````', '[c](y.ts)', '```', '[d](z.ts)', '````'].join('\n');
    expect(linksOf(page)).toEqual([]);
  });
});

it('anchorsOf gives GitHub’s anchors of headings', () => {
  expect(anchorsOf('# At three heights\n\n## `ts` and [a](b), on one-base!\n')).toEqual([
    'at-three-heights',
    'ts-and-a-on-one-base',
  ]);
});

const pages = globSync(['*.md', 'docs/*.md', '{packages,examples,tools}/*/README.md'], { cwd: root });

describe.each(pages.map((page) => page.replaceAll('\\', '/')).toSorted())('%s', (page) => {
  const links = linksOf(readFileSync(join(root, page), 'utf8')).map((link) => ({
    ...link,
    target: link.path === '' ? join(root, page) : join(root, dirname(page), link.path),
  }));

  it('links to files that are there', () => {
    const missing = links.filter(({ target }) => !existsSync(target));
    expect(missing.map(({ line, path }) => `line ${line}: ${path}`)).toEqual([]);
  });

  it('links to headings that are there', () => {
    const wrong = links.filter(({ target, anchor }) => {
      if (anchor === undefined || !existsSync(target)) return false;
      const file = statSync(target).isDirectory() ? join(target, 'README.md') : target;
      return !anchorsOf(readFileSync(file, 'utf8')).includes(anchor);
    });
    expect(wrong.map(({ line, path, anchor }) => `line ${line}: ${path}#${anchor}`)).toEqual([]);
  });

  it('names tests that are in the files it links to', () => {
    const wrong = links.filter(
      ({ target, title }) => title !== undefined && existsSync(target) && !readFileSync(target, 'utf8').includes(title),
    );
    expect(wrong.map(({ line, path, title }) => `line ${line}: ${path} has no '${title}'`)).toEqual([]);
  });
});
