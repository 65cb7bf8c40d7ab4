import { access, constants, readdir, stat } from 'node:fs/promises';
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

/**
 * Checks that a folder can be written: a new one, an empty one, or one that has what is to be written anew.
 * @param replaces a file by which such a folder is known.
 * @throws CliError CLI_OUTPUT.
 */
export async function checkOutputFolder(path: string, replaces?: string): Promise<void> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return checkOutput(path.replace(/[/\\]+$/, ''));
  const fail = (why: string): never => {
    throw new CliError('CLI_OUTPUT', `cannot write ${path}: ${why}`, { value: path });
  };
  if (!there.isDirectory()) fail('it is a file; give the name of a folder, or one that ends in .gguf');
  const names = await readdir(path);
  if (names.length > 0 && (replaces === undefined || !names.includes(replaces))) {
    fail('the folder has other things in it; give a new one');
  }
  await access(path, constants.W_OK).catch(() => fail('the folder cannot be written to'));
}
