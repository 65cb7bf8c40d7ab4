/** A loopback server that answers as the Hugging Face hub does for one file. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FileServer extends AsyncDisposable {
  readonly url: string;
  /** The `Range` header of each request for the contents, '' for none, in order. */
  readonly ranges: string[];
  /** Close the connection after so many bytes of one answer. */
  breakAfter: number;
  /** Answer with the whole file whatever part was asked for. */
  ignoresRanges: boolean;
  /** Take requests and never answer. */
  isSilent: boolean;
}

/** Serves `contents` as `owner/repo`'s file `file.gguf`. */
export async function fileServer(contents: Uint8Array): Promise<FileServer> {
  const etag = createHash('sha256').update(contents).digest('hex');
  const state = { ranges: [] as string[], breakAfter: Infinity, ignoresRanges: false, isSilent: false };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    if (state.isSilent) return;
    response.setHeader('ETag', `"${etag}"`);
    if (request.url !== '/owner/repo/resolve/main/file.gguf') {
      response.writeHead(404, { 'X-Error-Code': 'EntryNotFound' }).end();
      return;
    }
    const range = request.headers.range ?? '';
    const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
    const isProbe = range === 'bytes=0-0';
    if (!isProbe) state.ranges.push(range);
    const isPart = range !== '' && (isProbe || !state.ignoresRanges);
    const start = isPart ? Number(first) : 0;
    const end = isPart && last !== '' ? Math.min(Number(last) + 1, contents.length) : contents.length;
    const headers = { 'Content-Length': end - start, 'Content-Range': `bytes ${start}-${end - 1}/${contents.length}` };
    response.writeHead(isPart ? 206 : 200, isPart ? headers : { 'Content-Length': end - start });
    const body = contents.subarray(start, end);
    if (body.length <= state.breakAfter) response.end(body);
    else response.write(body.subarray(0, state.breakAfter), () => setTimeout(() => response.destroy(), 20));
  }

  const server = createServer(answer);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  });
}
