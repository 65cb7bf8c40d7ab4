/** The command: what it loads, what it prints, and how it ends. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { run } from '@lowrank/conformance/node';
import { describe, expect, it, vi } from 'vitest';

const backends = fileURLToPath(new URL('fixtures/backends.ts', import.meta.url));
const adapters = fileURLToPath(new URL('fixtures/adapters.ts', import.meta.url));

interface Event {
  readonly [key: string]: unknown;
  readonly type: string;
}

async function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  try {
    const code = await run(args, (text) => {
      stdout += text;
    });
    return { code, stdout, stderr };
  } finally {
    spy.mockRestore();
  }
}

async function events(...args: string[]): Promise<{ code: number; events: Event[] }> {
  const { code, stdout } = await command(...args, '--json');
  return {
    code,
    events: stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Event),
  };
}

describe('a right backend', () => {
  it('passes, with a row for each kernel and mode and the number of cases', async () => {
    const { code, stdout } = await command(backends, '--op', 'softmax,softmaxBackward');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^op +mode +passed +failed +excused +of bound +NMSE +max abs +max ULP$/m);
    expect(stdout).toMatch(/^softmax +test +\d+ +0 +0 +0\.\d+ /m);
    expect(stdout).toMatch(/^softmaxBackward +grad +3 +0 +0 /m);
    expect(stdout).toMatch(/^reference: \d+ cases passed, 0 failed$/m);
  });

  it('is tried whole where nothing else is said: rules, kernels, gradients and operations', async () => {
    const { code, events: told } = await events(backends, '--options', '{"fused":false}');
    const modes = new Set(told.filter(({ type }) => type === 'case').map(({ mode }) => mode));
    expect(code).toBe(0);
    expect(modes).toEqual(new Set(['rules', 'test', 'grad', 'ops', 'composed']));
    const last = told.at(-1)!;
    expect(last).toMatchObject({ type: 'summary', backend: 'reference', failed: 0 });
    expect(Number(last['passed']) + Number(last['skipped'])).toBe(told.length - 1);
  });

  it('gets --options as its argument, and what its manifest excuses is counted', async () => {
    const { code, events: told } = await events(backends, '--options', '{"fused":false}', '--op', 'silu,unary');
    expect(code).toBe(0);
    const skipped = told.filter(({ status }) => status === 'skipped');
    expect(skipped.length).toBeGreaterThan(0);
    for (const row of skipped) expect(row).toMatchObject({ op: 'silu', reason: 'kernels has no silu' });
    expect(told.at(-1)).toMatchObject({ skipped: skipped.length, reasons: { 'kernels has no silu': skipped.length } });
  });

  it('can be a package', async () => {
    const { code, stdout } = await command('@lowrank/conformance', '--export', 'reference', '--op', 'cast');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cast +test +16 /m);
  });
});

describe('a wrong backend', () => {
  it('fails with code 1; a failure names op, case, worst element, expected, got and errors', async () => {
    const { code, stdout } = await command(backends, '--export', 'wrong', '--op', 'matmul');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^FAILED test matmul \(1 of 5x7x3, a, b\), c: element 2 of 15 is -?[\d.]+, expected -?[\d.]+ within \S+; 1 elements are off; NMSE \S+, max abs 1\.00e\+0, max ULP \S+$/m,
    );
    expect(stdout).toMatch(/^reference: \d+ cases passed, \d+ failed$/m);
  });

  it('fails in JSON with the same numbers', async () => {
    const { code, events: told } = await events(backends, '--export', 'wrong', '--op', 'matmul');
    expect(code).toBe(1);
    const failed = told.filter(({ status }) => status === 'failed');
    const small = failed.find((row) => row['case'] === '1 of 5x7x3, a, b')!;
    expect(small).toMatchObject({
      type: 'case',
      mode: 'test',
      op: 'matmul',
      code: 'CONFORMANCE_MISMATCH',
      mismatch: { output: 'c', index: 2, length: 15, wrong: 1 },
    });
    const { expected, got, maxAbsolute } = small['mismatch'] as Record<string, number>;
    expect(got! - expected!).toBeCloseTo(1, 12);
    expect(maxAbsolute).toBeCloseTo(1, 12);
    expect(told.at(-1)).toMatchObject({ type: 'summary', failed: failed.length });
  });

  it('is found out by mode grad as well, through rules and what core composes of it', async () => {
    const { code, events: told } = await events(backends, '--export', 'wrong', '--mode', 'grad');
    expect(code).toBe(1);
    const failed = told.filter(({ type, status }) => type === 'case' && status === 'failed');
    expect(failed.map(({ op }) => op)).toContain('matmul');
    expect(new Set(failed.map(({ mode }) => mode))).toEqual(new Set(['rules', 'ops', 'composed']));
  });
});

describe('what is measured and said', () => {
  it('perf gives the time of a call with GB/s, and GFLOP/s of products', async () => {
    const { code, events: told } = await events(backends, '--mode', 'perf', '--op', 'slice,attention');
    expect(code).toBe(0);
    const slice = told.find(({ op }) => op === 'slice')!;
    const product = told.find(({ op }) => op === 'attention')!;
    expect(told.map(({ type }) => type)).toEqual(Array.from(told, () => 'perf'));
    // 256 x 768 numbers read and written, four bytes each as the interface has them.
    expect(slice['gigabytesPerSecond']).toBeCloseTo((2 * 256 * 768 * 4) / (slice['milliseconds'] as number) / 1e6, 9);
    // q k^T and p v, two operations for each of 64 elements, 9 heads and 256 * 257 / 2 visible pairs.
    const operations = 2 * 2 * 64 * 9 * ((256 * 257) / 2);
    expect(product['gigaflops']).toBeCloseTo(operations / (product['milliseconds'] as number) / 1e6, 9);
  });

  it('support tells primitives, fused kernels and what core composes', async () => {
    const { code, stdout } = await command(backends, '--options', '{"fused":false}', '--mode', 'support');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^matmul +primitive +yes +\d+ +0$/m);
    expect(stdout).toMatch(/^attention +fused +composed +0 +[1-9]\d*$/m);
    expect(stdout).toMatch(/^reference: block formats none$/m);
    expect(stdout).toMatch(/^ {2}precision: f64$/m);
  });
});

describe('an adapter', () => {
  it('is judged by its own suite; here the only function of its module makes it', async () => {
    const { code, stdout } = await command(adapters, '--options', '{"rank":2,"dropout":0.5}');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^passed .* live and merged give the same output$/m);
    expect(stdout).toMatch(/^adapter two-factor: \d+ passed, 0 failed; largest error \S+ of its bound$/m);
  });

  it('fails where its merged weight is not what it computes live', async () => {
    const { code, stdout } = await command(adapters, '--export', 'wrong');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAILED adapter conformance: two-factor > .*merged/m);
  });

  it('has no kernels to time', async () => {
    const { code, stderr } = await command(adapters, '--mode', 'perf');
    expect(code).toBe(2);
    expect(stderr).toContain('an adapter has no kernels');
  });
});

describe('what cannot be tried ends with code 2 and says what to do', () => {
  it.each([
    [['no-such-package'], "cannot import 'no-such-package'"],
    [['./no-such-file.js'], "cannot import './no-such-file.js'"],
    [[backends, '--export', 'nothing'], "has no export 'nothing'; it exports"],
    [[backends, '--export', 'number'], 'neither an adapter nor an async function that gives a Backend'],
    [[backends, '--export', 'notABackend'], 'neither an adapter nor an async function that gives a Backend'],
    [['@lowrank/core'], 'has no default export and several others; it exports'],
    [[backends, '--op', 'matmull'], 'there is no kernel matmull'],
    [[backends, '--options', '[1]'], 'it must be a JSON object'],
    [[backends, '--options', '{'], 'it is not JSON'],
    [[backends, '--mode', 'fast'], 'Allowed choices are all, test, grad, perf, support'],
    [[], "missing required argument 'package or file'"],
  ])('%j', async (args, message) => {
    const { code, stderr } = await command(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

it('runs as a program, whose exit code tells', async () => {
  const program = fileURLToPath(new URL('../src/node/main.ts', import.meta.url));
  const node = (...args: string[]): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, ['--conditions=@lowrank/source', program, ...args]);
  const { stdout } = await node(backends, '--op', 'cast');
  expect(stdout).toMatch(/^reference: 16 cases passed, 0 failed$/m);
  await expect(node(backends, '--export', 'wrong', '--op', 'matmul')).rejects.toMatchObject({ code: 1 });
});
