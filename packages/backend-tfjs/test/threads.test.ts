import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { path } from './engines.ts';

const program = fileURLToPath(new URL('programs/bits.ts', import.meta.url));

/** libtensorflow reads the number of threads once, as it starts. */
async function bits(threads: number): Promise<string> {
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: String(threads), TF_CPP_MIN_LOG_LEVEL: '3' };
  const args = ['--conditions=@lowrank/source', program, 'node', path];
  return (await promisify(execFile)(process.execPath, args, { env })).stdout;
}

it('libtensorflow gives the same bits with one, three and seven threads', async () => {
  const one = await bits(1);
  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect([await bits(3), await bits(7)]).toEqual([one, one]);
});
