import { join } from 'node:path';
import { filledOnce, here } from '../../process/once.ts';
import { run } from '../../process/run.ts';
import type { Start } from '../../process/subject.ts';

/** How to start one of the Python programs beside this file. */
export async function pytorch(program: string, args: readonly string[]): Promise<Start> {
  return { file: await pytorchPython(), args: [here(import.meta.url, program), ...args] };
}

/**
 * The Python that has PyTorch and PEFT: `LOWRANK_BENCH_PYTHON` where that is set, else that of a virtual environment in the cache,
 * which is made now (5.6 GB, some minutes) if it is not there.
 */
export async function pytorchPython(): Promise<string> {
  const given = process.env['LOWRANK_BENCH_PYTHON'];
  if (given !== undefined && given !== '') return given;
  const windows = process.platform === 'win32';
  const folder = await filledOnce('pytorch', new URL('requirements.txt', import.meta.url), async (venv) => {
    process.stderr.write('bench: installing PyTorch and PEFT in the cache, once: 5.6 GB\n');
    await run(windows ? 'python' : 'python3', ['-m', 'venv', venv], { minutes: 5 });
    const options = ['--quiet', '--no-input', '--disable-pip-version-check'];
    const requirements = here(import.meta.url, 'requirements.txt');
    await run(pythonOf(venv), ['-m', 'pip', 'install', ...options, '-r', requirements], { minutes: 60 });
  });
  return pythonOf(folder);

  function pythonOf(venv: string): string {
    return windows ? join(venv, 'Scripts', 'python.exe') : join(venv, 'bin', 'python');
  }
}
