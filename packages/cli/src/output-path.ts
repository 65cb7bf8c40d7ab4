import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CliError } from './cli-error.ts';

/**
 * Checks that a file can be written, before any work is spent on it. Nothing is created.
 * @throws CliError CLI_OUTPUT.
 */
export async function checkOutput(path: string): Promise<void> {
  const folder = dirname(path);
  const fail = (why: string, cause?: unknown): never => {
    throw new CliError('CLI_OUTPUT', `cannot write ${path}: ${why}`, { value: path, cause });
  };
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() === true) fail('it is a folder; give the name of a file');
  const parent = await stat(folder).catch(() => undefined);
  if (parent === undefined) fail(`there is no folder ${folder}; make it first`);
  if (!parent!.isDirectory()) fail(`${folder} is not a folder`);
  await access(folder, constants.W_OK).catch((cause: unknown) =>
    fail(`the folder ${folder} cannot be written to`, cause),
  );
}
