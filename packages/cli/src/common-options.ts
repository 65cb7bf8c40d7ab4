import { Option, type Command } from 'commander';
import { backendNames } from './backends.ts';
import { wholeNumber } from './option-values.ts';

/** What every command that runs a model takes. */
export function addModelOptions(command: Command): Command {
  return command
    .option(
      '-m, --model <path>',
      'GGUF file, known model, or owner/repo/file.gguf on the Hugging Face hub',
      'smollm2-135m-instruct',
    )
    .addOption(
      new Option(
        '--backend <name>',
        `what computes: ${backendNames.join(', ')}, or a package or file of your own`,
      ).default('cpu'),
    )
    .option('--threads <n>', 'threads that compute (default: all)', wholeNumber(1));
}

export function addAdapterFile(command: Command): Command {
  return command.option(
    '-a, --adapter-file <path>',
    "adapter to put on the model: a llama.cpp LoRA GGUF, such as 'lowrank train' writes",
  );
}

export function addJson(command: Command): Command {
  return command.option('--json', 'JSON Lines on stdout, everything else on stderr');
}
