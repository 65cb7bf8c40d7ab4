import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile, fileDownloadInfo } from '@huggingface/hub';
import { resumeDownload } from './resumable-download.ts';
import type { Fetched, Route, RouteRequest } from './route.ts';

export interface HubOptions {
  /** Default `$HF_ENDPOINT`, else the public hub. */
  readonly hubUrl?: string | undefined;
  /** Default `$HF_TOKEN`; needed for gated repositories. */
  readonly accessToken?: string | undefined;
  /** How long a connection may take to answer. Default 8,000. */
  readonly answerMilliseconds?: number;
}

const NO_PARTS = 'the server does not serve parts of files';

/** The Hugging Face hub, by ranges, so that an interrupted download goes on where it stopped. */
export function hubRoute({
  hubUrl = process.env['HF_ENDPOINT'],
  accessToken = process.env['HF_TOKEN'],
  answerMilliseconds = 8000,
}: HubOptions = {}): Route {
  return {
    name: 'Hugging Face hub',
    offers: () => true,
    async fetch({ file, partFolder, report, signal }: RouteRequest): Promise<Fetched> {
      const place = {
        repo: file.hub.repo,
        path: file.hub.path,
        revision: file.hub.revision,
        fetch: answeringSoon(answerMilliseconds, signal),
        ...(hubUrl ? { hubUrl } : {}),
        ...(accessToken ? { accessToken } : {}),
      };
      const info = await fileDownloadInfo(place);
      if (info === null) throw new Error(`${file.hub.repo} has no file ${file.hub.path} at ${file.hub.revision}`);
      const tag = info.etag.replaceAll(/^W\/|"/g, '');
      // Files in large file storage are tagged with their SHA-256.
      const sha256 = /^[0-9a-f]{64}$/.test(tag) ? tag : undefined;
      if (
        file.known !== undefined &&
        (info.size !== file.known.bytes || (sha256 ?? file.known.sha256) !== file.known.sha256)
      ) {
        throw new Error(`its file is another than the known one (${info.size} bytes, tag ${tag})`);
      }
      const blob = await downloadFile({ ...place, downloadInfo: info, xet: false });
      if (blob === null) throw new Error(`${file.hub.repo} has no file ${file.hub.path}`);
      const path = join(partFolder, `${tag.replaceAll(/[^\w.-]/g, '_').slice(0, 64)}.part`);
      const download = (): Promise<void> =>
        resumeDownload(
          path,
          info.size,
          (offset) => (offset === 0 ? blob : blob.slice(offset)).stream(),
          (received) => report(received, info.size),
          { signal },
        );
      try {
        await download();
      } catch (error) {
        // The hub's library passes failures of a request on as bare strings.
        if (error !== NO_PARTS) throw error;
        // Then from the beginning.
        await rm(path, { force: true });
        await download();
      }
      return { path, bytes: info.size, sha256 };
    },
  };
}

/** `fetch` that gives up where no answer comes, and where a part was asked for but the whole is sent. */
function answeringSoon(milliseconds: number, signal: AbortSignal | undefined): typeof fetch {
  return async (input, init) => {
    const patience = new AbortController();
    const timer = setTimeout(
      () => patience.abort(new Error(`no answer within ${milliseconds / 1000} s`)),
      milliseconds,
    );
    try {
      const signals = [patience.signal, signal, init?.signal].filter((one) => one !== undefined && one !== null);
      const response = await fetch(input, { ...init, signal: AbortSignal.any(signals) });
      const range = new Headers(init?.headers).get('range');
      if (range !== null && !range.startsWith('bytes=0-') && response.status === 200) {
        await response.body?.cancel();
        throw new Error(NO_PARTS);
      }
      return response;
    } finally {
      clearTimeout(timer);
    }
  };
}
