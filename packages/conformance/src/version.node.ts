import { readFileSync } from 'node:fs';

/** Of this package; in `src` itself, for what is built of it lies as deep. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
