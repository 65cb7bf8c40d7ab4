import { Option, type Command } from 'commander';
import { addAdapterFileOptions } from './adapter-files.ts';
import { backendNames } from './backends.ts';
import { wholeNumber } from './option-values.ts';
import { addQuantizeOptions } from './quantize-options.ts';

/** What every command that runs a model takes. */
export function addModelOptions(command: Command): Command {
  const withModel = command
    .option(
      '-m, --model <path>',
      'GGUF file, Hugging Face folder, known model, or owner/repo/file.gguf on the hub',
      'smollm2-135m-instruct',
    )
    .addOption(
      new Option(
        '--backend <name>',
        `what computes: ${backendNames.join(', ')}, or a package or file of your own`,
      ).default('cpu'),
    )
    .option('--threads <n>', 'threads that compute (default: all)', wholeNumber(1));
  return addQuantizeOptions(withModel);
}

export function addAdapterFile(command: Command): Command {
  return addAdapterFileOptions(
    command.option(
      '-a, --adapter-file <path>',
      "adapter to put on the model: what 'lowrank train' writes (GGUF or PEFT folder), or a checkpoint",
    ),
  );
}

export function addJson(command: Command): Command {
  return command.option('--json', 'JSON Lines on stdout, everything else on stderr');
}
