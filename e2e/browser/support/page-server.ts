import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import type { Files } from './bundle.ts';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** What makes a page cross-origin isolated, without which it has no shared memory. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export interface PageServer {
  /** Of the page, as one that is cross-origin isolated or one that is not. */
  url(isolated: boolean): string;
  close(): Promise<void>;
}

/** Serves the files twice, on 127.0.0.1: below `/isolated/` with COOP and COEP, below `/plain/` without. */
export async function servePages(files: Files): Promise<PageServer> {
  const server = createServer((request, response) => {
    const [, kind = '', path = ''] = /^\/(isolated|plain)\/([^?]*)/.exec(request.url ?? '') ?? [];
    const name = path === '' ? 'index.html' : path;
    const content = kind === '' ? undefined : files.get(name);
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(name)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, ...(kind === 'isolated' ? isolation : {}) }).end(content);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: (isolated) => `http://127.0.0.1:${port}/${isolated ? 'isolated' : 'plain'}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
