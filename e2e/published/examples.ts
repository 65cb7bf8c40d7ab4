/** A TypeScript example in a Markdown page, and what the page says that it prints. */
export interface Example {
  /** The line of its fence, from 1. */
  readonly line: number;
  readonly code: string;
  readonly output: string | undefined;
}

const FENCE = /^```(.*)$/;

/**
 * The examples of a page: its blocks fenced as `ts`, save those fenced as `ts fragment`, which are not whole programs.
 * A block fenced as `text` that follows with only blank lines or one line of prose between is the example's output.
 */
export function examplesOf(markdown: string): Example[] {
  const blocks = blocksOf(markdown);
  return blocks.flatMap((block, index) => {
    if (block.info !== 'ts') return [];
    const next = blocks[index + 1];
    const output = next?.info === 'text' && next.start - block.end <= 4 ? next.content : undefined;
    return [{ line: block.start, code: block.content, output }];
  });
}

interface Block {
  readonly info: string;
  readonly content: string;
  /** Lines of the two fences, from 1. */
  readonly start: number;
  readonly end: number;
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { info: string; start: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const fence = FENCE.exec(line);
    if (open === undefined) {
      if (fence) open = { info: (fence[1] ?? '').trim(), start: index + 1, lines: [] };
    } else if (fence) {
      blocks.push({ info: open.info, content: open.lines.join('\n'), start: open.start, end: index + 1 });
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`the block that opens in line ${open.start} is not closed`);
  return blocks;
}
