import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { CliError } from './cli-error.ts';
import { messageOf } from './message-of.ts';

/**
 * Takes options from a YAML file, those given on the command line excepted. Keys are the options' names, with hyphens
 * or underscores; values go through the same checks.
 * @throws CliError CLI_CONFIG_FILE naming the file and key.
 */
export async function applyConfigFile(command: Command, path: string): Promise<void> {
  const fail = (message: string, cause?: unknown): never => {
    throw new CliError('CLI_CONFIG_FILE', `${path}: ${message}`, { value: path, cause });
  };
  let values: unknown;
  try {
    values = parse(await readFile(path, 'utf8'));
  } catch (cause) {
    fail(messageOf(cause), cause);
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    fail('a mapping of options is needed, such as `rank: 8`');
  }
  for (const [key, value] of Object.entries(values as Record<string, unknown>)) {
    const long = key.replaceAll('_', '-');
    const option =
      command.options.find(({ long: name, negate }) => !negate && name === `--${long}`) ??
      command.options.find(({ negate, long: name }) => negate && name === `--no-${long}`);
    if (option === undefined || long === 'config') {
      throw new CliError(
        'CLI_CONFIG_FILE',
        `${path}: there is no option '${key}'; see lowrank ${command.name()} --help`,
        { value: key },
      );
    }
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === 'cli') continue;
    command.setOptionValueWithSource(
      name,
      checked(option, value, (message) => fail(`${key}: ${message}`)),
      'config',
    );
  }
}

function checked(option: Command['options'][number], value: unknown, fail: (message: string) => never): unknown {
  if (option.isBoolean() || option.negate) return typeof value === 'boolean' ? value : fail('true or false is needed');
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  if (parts.some((part) => part === null || typeof part === 'object')) {
    return fail('a value is needed, or a list of them');
  }
  const text = parts.join(',');
  if (option.argChoices !== undefined && !option.argChoices.includes(text)) {
    return fail(`one of ${option.argChoices.join(', ')} is needed`);
  }
  try {
    return option.parseArg === undefined ? text : option.parseArg(text, undefined as never);
  } catch (error) {
    return fail(messageOf(error));
  }
}
