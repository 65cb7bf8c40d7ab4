import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const names = fileURLToPath(new URL('../../models/assets/names.gguf', import.meta.url));

it.each(['--tensors', '--json'])('goes on to its end where nobody reads on: inspect %s', async (option) => {
  const child = spawn(process.execPath, ['--conditions=@lowrank/source', main, 'inspect', names, option]);
  child.stdout.destroy();
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
  const [code] = (await once(child, 'close')) as [number];
  expect({ code, told }).toEqual({ code: 0, told: '' });
});
