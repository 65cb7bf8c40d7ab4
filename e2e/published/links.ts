/** A link of a Markdown page to something in this repository. */
export interface Link {
  /** The line it stands in, from 1. */
  readonly line: number;
  /** As written, without what follows `#`. Empty for a place on the same page. */
  readonly path: string;
  /** A heading's, or undefined. */
  readonly anchor: string | undefined;
  /** What the page says in quotes behind the path: the name of a test in that file. */
  readonly title: string | undefined;
}

const TITLE = /(?:\s+(?:"([^"]*)"|'([^']*)'))?/.source;
const INLINE = new RegExp(String.raw`\]\(([^()\s]+)${TITLE}\)`, 'g');
const DEFINITION = new RegExp(String.raw`^\[[^\]]+\]:\s+(\S+)${TITLE}\s*$`);
const CODE = /`[^`]*`/g;

/** The links of a page, inline and by reference, that do not lead out of the repository. Code is no text. */
export function linksOf(markdown: string): Link[] {
  return lines(markdown).flatMap(({ text, line }) => {
    const plain = text.replaceAll(CODE, '');
    const definition = DEFINITION.exec(plain);
    const matches = definition === null ? [...plain.matchAll(INLINE)] : [definition];
    return matches.flatMap(([, target, double, single]) => {
      if (target === undefined || /^[a-z]+:/.test(target)) return [];
      const [path = '', anchor] = target.split('#');
      return [{ line, path, anchor, title: double ?? single }];
    });
  });
}

/** The anchors that GitHub gives a page's headings. */
export function anchorsOf(markdown: string): string[] {
  return lines(markdown).flatMap(({ text }) => {
    const heading = /^#{1,6}\s+(.*)$/.exec(text)?.[1];
    if (heading === undefined) return [];
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    return [words.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')];
  });
}

/** Lines outside of fenced blocks. */
function lines(markdown: string): { readonly text: string; readonly line: number }[] {
  let fence: string | undefined;
  return markdown.split(/\r?\n/).flatMap((text, index) => {
    const mark = /^(`{3,})/.exec(text)?.[1];
    if (mark !== undefined && (fence === undefined || mark.length >= fence.length)) {
      fence = fence === undefined ? mark : undefined;
      return [];
    }
    return fence === undefined ? [{ text, line: index + 1 }] : [];
  });
}
