import type { WantedFile } from './wanted-file.ts';

/** What `resolveModel` tells while it works. */
export interface FetchProgress {
  readonly route: string;
  /** Bytes of the file so far, and of the whole file where known. */
  readonly receivedBytes: number;
  readonly totalBytes: number | undefined;
}

export interface RouteRequest {
  readonly file: WantedFile;
  /** A folder of this file's own for unfinished downloads; it stays for the next attempt. */
  readonly partFolder: string;
  readonly report: (receivedBytes: number, totalBytes: number | undefined) => void;
  readonly signal: AbortSignal | undefined;
}

/** What a route brought: a file, complete, and what it must be like. */
export interface Fetched {
  readonly path: string;
  readonly bytes: number;
  /** Undefined where the origin gives no checksum. */
  readonly sha256: string | undefined;
}

/** One way to get a model file. It fails soon where its origin cannot be reached. */
export interface Route {
  /** What messages call it. */
  readonly name: string;
  /** Whether it has this file at all. */
  offers(file: WantedFile): boolean;
  fetch(request: RouteRequest): Promise<Fetched>;
}
