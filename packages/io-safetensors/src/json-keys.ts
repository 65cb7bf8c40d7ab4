/**
 * The first key that stands twice in one object of a JSON text, which `JSON.parse` takes without a word. The text must be
 * valid JSON: this only looks for strings and brackets.
 */
export function duplicateKey(text: string): string | undefined {
  /** Keys seen in each open object; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  const token = /["{}[\]]/g;
  const colon = /\s*:/y;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    switch (match[0]) {
      case '{':
        open.push(new Set());
        break;
      case '[':
        open.push(undefined);
        break;
      case '"': {
        const end = endOfString(text, match.index);
        token.lastIndex = end;
        colon.lastIndex = end;
        if (!colon.test(text)) break;
        const key = JSON.parse(text.slice(match.index, end)) as string;
        const keys = open.at(-1)!;
        if (keys.has(key)) return key;
        keys.add(key);
        break;
      }
      default:
        open.pop();
    }
  }
  return undefined;
}

/** Where the string that begins at `start` is over: behind its closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const quote = text.indexOf('"', at);
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return quote + 1;
    at = quote;
  }
}
