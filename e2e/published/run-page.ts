import { launchBrowser } from '../browser/support/browser.ts';
import { servePages } from '../browser/support/page-server.ts';
import type { Files } from '../browser/support/bundle.ts';

/** As Node's console prints an array of numbers. */
const consoleOfNode = `
  const print = console.log;
  const text = (value) => ArrayBuffer.isView(value)
    ? value.constructor.name + '(' + value.length + ') [ ' + Array.from(value, String).join(', ') + ' ]'
    : String(value);
  console.log = (...values) => print(values.map(text).join(' '));`;

/**
 * What the page prints until it has printed `lines` lines; an error in it ends it at once.
 *
 * @param isolated Whether the page is cross-origin isolated.
 */
export async function printedByPage(files: Files, isolated: boolean, lines: number): Promise<string> {
  const server = await servePages(files);
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    await page.addInitScript(consoleOfNode);
    const printed: string[] = [];
    const done = new Promise<void>((resolve, reject) => {
      page.on('pageerror', (error) => reject(error));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') reject(new Error(message.text()));
        if (printed.push(message.text()) === lines) resolve();
      });
      setTimeout(() => reject(new Error(`printed in 120 s: ${printed.join('\n')}`)), 120_000).unref();
    });
    await Promise.all([page.goto(server.url(isolated)), done]);
    return printed.join('\n');
  } finally {
    await browser.close();
    await server.close();
  }
}
