import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addTrain } from '../src/commands/train.ts';
import { applyConfigFile } from '../src/config-file.ts';
import { testFolder, type TestFolder } from './support/captured.ts';

let folder: TestFolder;
beforeAll(async () => {
  folder = await testFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** The options of `lowrank train` with these arguments and this YAML file. */
async function options(yaml: string, ...args: string[]): Promise<Record<string, unknown>> {
  const path = folder.file('config.yaml');
  await writeFile(path, yaml);
  const command = addTrain(new Command())
    .exitOverride()
    .action(() => {});
  await command.parseAsync(args, { from: 'user' });
  await applyConfigFile(command, path);
  return command.opts();
}

describe('a YAML file of options', () => {
  it('overrides defaults and is overridden by the command line, wherever the file stands in it', async () => {
    const found = await options('rank: 32\nalpha: 64\n', '--rank=4', '--epochs=2');
    expect(found).toMatchObject({ rank: 4, alpha: 64, epochs: 2, learningRate: 2e-4 });
    // Also where what was given is the default.
    expect(await options('rank: 32\n', '--rank=8')).toMatchObject({ rank: 8 });
  });

  it('takes names with hyphens and underscores, numbers in any notation, lists and flags', async () => {
    const yaml = [
      'learning_rate: 5e-5',
      'batch-size: 2',
      'target-modules: [q_proj, v_proj]',
      'gradient_checkpointing: true',
      'shuffle: false',
      'schedule: cosine',
      'model: 7',
      'data: "train.jsonl"',
    ].join('\n');
    expect(await options(yaml)).toMatchObject({
      learningRate: 5e-5,
      batchSize: 2,
      targetModules: ['q_proj', 'v_proj'],
      gradientCheckpointing: true,
      shuffle: false,
      schedule: 'cosine',
      model: '7',
      data: 'train.jsonl',
    });
  });

  it.each<readonly [string, string, RegExp]>([
    ['an option that there is not', 'rnak: 8', /there is no option 'rnak'; see lowrank train --help/],
    ['a file of its own', 'config: other.yaml', /there is no option 'config'/],
    ['a number out of range', 'rank: 0', /rank: a whole number of 1 or more is needed/],
    ['a word for a number', 'learning-rate: fast', /learning-rate: a number of 0 or more is needed/],
    ['a choice that there is not', 'schedule: steep', /schedule: one of constant, linear, cosine is needed/],
    ['a number for a flag', 'shuffle: 1', /shuffle: true or false is needed/],
    ['no value', 'data:', /data: a value is needed/],
    ['a mapping for a value', 'data: { train: a }', /data: a value is needed/],
    ['a list of lists', 'target-modules: [[q_proj]]', /target-modules: a value is needed/],
    ['a list', '- rank', /a mapping of options is needed/],
    ['nothing', '', /a mapping of options is needed/],
    ['no YAML', 'rank: [8', /line 1|flow|column/i],
  ])('with %s is refused by name', async (_, yaml, says) => {
    const refused = { code: 'CLI_CONFIG_FILE', message: expect.stringMatching(says) as string };
    await expect(options(yaml)).rejects.toMatchObject(refused);
    await expect(options(yaml)).rejects.toThrow('config.yaml: ');
  });

  it('that is not there is refused by name', async () => {
    await expect(applyConfigFile(addTrain(new Command()), folder.file('missing.yaml'))).rejects.toMatchObject({
      code: 'CLI_CONFIG_FILE',
      message: expect.stringContaining('missing.yaml') as string,
    });
  });
});
