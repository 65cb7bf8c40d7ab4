import { Command } from 'commander';
import { addBackends } from './commands/backends.ts';
import { addConvert } from './commands/convert.ts';
import { addEval } from './commands/eval.ts';
import { addGenerate } from './commands/generate.ts';
import { addInspect } from './commands/inspect.ts';
import { addMerge } from './commands/merge.ts';
import { addModels } from './commands/models.ts';
import { addTrain } from './commands/train.ts';
import { version } from './version.ts';

/** The `lowrank` command. */
export function makeProgram(): Command {
  const program = new Command('lowrank')
    .description('Fine-tune language models in JavaScript.')
    .version(version)
    .showHelpAfterError('(add --help for the options)')
    .exitOverride();
  for (const add of [addTrain, addGenerate, addEval, addMerge, addConvert, addInspect, addModels, addBackends]) {
    add(program).exitOverride();
  }
  return program;
}
