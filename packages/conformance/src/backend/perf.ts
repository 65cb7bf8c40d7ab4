/** Times of kernels on a backend. */
import type { Backend, Storage } from '@lowrank/core';
import type { Kernels } from './case.ts';
import { upload } from './operands.ts';
import { perfCases } from './perf-cases.ts';
import type { PerfCase } from './perf-cases.ts';

export interface Timing {
  readonly op: string;
  readonly name: string;
  /** Of one call: the median over `rounds`. */
  readonly milliseconds: number;
  /** Calls in a round, one behind the other, with one `sync` at their end. */
  readonly calls: number;
  readonly rounds: number;
  /** 10^9 bytes a second: what must be moved at the least, over the time. */
  readonly gigabytesPerSecond: number;
  /** 10^9 operations a second, for products. */
  readonly gigaflops: number | undefined;
}

/** A round takes about as long: far more than a clock's tick and a `sync`. */
const roundMilliseconds = 30;
const usualRounds = 7;

/** Times every kernel that is offered, or those named, and tells each as it is done. */
export async function timeKernels(
  backend: Backend,
  ops: readonly string[] | undefined,
  onTiming: (timing: Timing) => void,
): Promise<void> {
  const { kernels, supports } = backend;
  for (const row of perfCases(supports.blockFormats.filter(isTimed), ops)) {
    if (kernels[row.kernel] !== undefined) onTiming(await time(backend, row));
  }
}

/** A format's speed is told by its family's: the formats that weights come in. */
function isTimed(format: string): boolean {
  return ['q4_0', 'q4_1', 'q8_0', 'q4_k', 'q6_k', 'nf4', 'f16'].includes(format);
}

async function time(backend: Backend, row: PerfCase): Promise<Timing> {
  const operands = row.inputs.map((input) => upload(backend, input));
  let resultBytes = 0;
  const call = (): void => {
    const results: readonly Storage[] = row.run(backend.kernels as Kernels, operands);
    resultBytes = results.reduce((sum, { byteLength }) => sum + byteLength, 0);
    for (const storage of results) backend.free(storage);
  };
  const round = async (calls: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    await backend.sync();
    return (performance.now() - start) / calls;
  };
  // The first call compiles and allocates; the second tells how many make a round.
  await round(1);
  const calls = Math.max(1, Math.min(1000, Math.round(roundMilliseconds / Math.max(await round(1), 0.01))));
  const rounds = calls === 1 ? 3 : usualRounds;
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) times.push(await round(calls));
  const milliseconds = times.sort((a, b) => a - b)[rounds >> 1]!;
  const bytes = row.bytes ?? operands.reduce((sum, { byteLength }) => sum + byteLength, 0) + resultBytes;
  for (const storage of operands) backend.free(storage);
  return {
    op: row.kernel,
    name: row.name,
    milliseconds,
    calls,
    rounds,
    gigabytesPerSecond: bytes / milliseconds / 1e6,
    gigaflops: row.flops === undefined ? undefined : row.flops / milliseconds / 1e6,
  };
}
