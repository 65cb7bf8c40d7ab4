import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('programs/lifecycle.ts', import.meta.url));
const engines: CpuOptions[] = [
  { engine: 'native', threads: 2 },
  { engine: 'wasm', threads: 2 },
  { engine: 'wasm-unshared' },
];

/** Runs the program in a process of its own; a process that does not end by itself is killed and has no code. */
function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--conditions=@lowrank/source', program, ...args], { timeout: 60_000 });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe.each(engines)('a process with $engine', (options) => {
  it.each([
    ['read', 'stays until its reads are answered, then ends by itself', '32768'],
    ['queued', 'ends by itself though work is queued', 'queued'],
    ['exit', 'ends at process.exit in the middle of work', 'leaving'],
    ['dispose', 'ends by itself after dispose', 'BACKEND_DISPOSED'],
  ])('%s: %s', async (mode, _claim, expected) => {
    expect(await run(options.engine!, mode)).toEqual({ code: 0, output: `${expected}\n` });
  });
});

it.each(engines.filter(({ engine }) => engine !== 'wasm-unshared'))(
  '$engine blocks the caller until all is done',
  async (options) => {
    await using backend = await cpu(options);
    const { kernels } = backend;
    const x = kernels.fill(1, 1 << 20, 'f32');
    for (let i = 0; i < 20; i++) kernels.accumulate(x, x, 1 << 20);
    backend.block();
    expect((await backend.read(x))[5]).toBe(2 ** 20);
  },
);

it('wasm-unshared says that it cannot block', async () => {
  await using backend = await cpu({ engine: 'wasm-unshared' });
  expect(() => backend.block()).toThrow(expect.objectContaining({ code: 'BACKEND_NOT_AVAILABLE' }));
});

describe.each(engines)('$engine', (options) => {
  it('rejects waiting reads when it is disposed of while work is queued, and refuses later calls', async () => {
    const backend = await cpu(options);
    const { kernels } = backend;
    const x = kernels.fill(1, 1 << 20, 'f32');
    for (let i = 0; i < 100; i++) kernels.accumulate(x, x, 1 << 20);
    const reading = backend.read(x).catch((error: unknown) => error);
    await backend.dispose();
    expect(await reading).toMatchObject({ code: 'BACKEND_DISPOSED' });
    await backend.dispose();
    for (const call of [
      () => backend.upload(new Float32Array(1), 'f32'),
      () => kernels.fill(0, 1, 'f32'),
      () => backend.free(x),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'BACKEND_DISPOSED' }));
    }
    await expect(backend.read(x)).rejects.toMatchObject({ code: 'BACKEND_DISPOSED' });
    await expect(backend.sync()).rejects.toMatchObject({ code: 'BACKEND_DISPOSED' });
    expect(backend.memory()).toMatchObject({ liveBytes: 0, liveStorages: 0, reservedBytes: 0 });
  });

  it('runs beside another of its kind', async () => {
    const [a, b] = await Promise.all([cpu(options), cpu(options)]);
    const totals = await Promise.all(
      [a, b].map(async (backend, index) => {
        const x = backend.kernels.fill(index + 1, 50_000, 'f32');
        for (let i = 0; i < 50; i++) {
          backend.kernels.accumulate(x, backend.kernels.fill(index + 1, 50_000, 'f32'), 50_000);
        }
        return backend.read(x);
      }),
    );
    expect(totals.map((values) => values.every((value) => value === values[0]))).toEqual([true, true]);
    expect(totals.map((values) => values[0])).toEqual([51, 102]);
    await Promise.all([a.dispose(), b.dispose()]);
  });
});

describe('cpu()', () => {
  it('takes a native engine on this platform, and says which', async () => {
    const backend = await cpu();
    const native = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64'];
    const expected = native.includes(`${process.platform}-${process.arch}`) ? /^native / : /^wasm /;
    expect(backend.engine).toMatch(expected);
    expect(backend.supports.fusedMultiplyAdd).toBe(true);
    expect(backend.threads).toBeGreaterThan(0);
    await backend.dispose();
  });

  it('says in the manifest that baseline WebAssembly does not fuse', async () => {
    const backend = await cpu({ engine: 'wasm-baseline', threads: 1 });
    expect(backend.engine).toBe('wasm baseline');
    expect(backend.supports.fusedMultiplyAdd).toBe(false);
    await backend.dispose();
  });

  it.each([{ threads: 0 }, { threads: 1.5 }, { threads: 257 }, { memoryLimit: 0 }, { engine: 'gpu' as 'native' }])(
    'refuses %j',
    async (options) => {
      await expect(cpu(options)).rejects.toMatchObject({ code: 'BACKEND_ARGUMENT' });
    },
  );

  it('refuses an instruction set that the machine does not have', async () => {
    const other = process.arch === 'x64' ? 'neon' : 'x86_64_v3';
    for (const options of [{ instructionSet: other }, { engine: 'native', instructionSet: other }] as const) {
      await expect(cpu(options)).rejects.toMatchObject({ code: 'BACKEND_NOT_AVAILABLE' });
    }
  });

  it('takes the worker from a URL', async () => {
    const assets = new URL('../prebuilds/wasm/', import.meta.url);
    const backend = await cpu({ engine: 'wasm', threads: 2, assets });
    const x = backend.kernels.fill(4, 3, 'f32');
    expect(await backend.read(backend.kernels.unary('sqrt', x, 3))).toEqual(Float32Array.from([2, 2, 2]));
    await backend.dispose();
  });

  it('says what is missing where the worker is not', async () => {
    const assets = new URL('../prebuilds/none/', import.meta.url);
    await expect(cpu({ engine: 'wasm', threads: 1, assets })).rejects.toMatchObject({
      code: 'BACKEND_NOT_AVAILABLE',
      message: expect.stringContaining('worker.js') as unknown,
    });
  });
});
