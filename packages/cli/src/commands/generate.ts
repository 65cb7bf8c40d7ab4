import type { Command } from 'commander';
import { encodeChatPrompt, streamText, type ChatMessage } from '@lowrank/models';
import { CliError } from '../cli-error.ts';
import type { AdapterFileOptions } from '../adapter-files.ts';
import { addAdapterFile, addJson, addModelOptions } from '../common-options.ts';
import { Interrupted, onInterrupt } from '../interrupt.ts';
import { numberBetween, wholeNumber } from '../option-values.ts';
import { makeReporter } from '../reporter.ts';
import { openSession, type Session, type SessionOptions } from '../session.ts';

interface GenerateOptions extends SessionOptions, AdapterFileOptions {
  readonly prompt?: string;
  readonly system?: string;
  readonly raw?: boolean;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function addGenerate(program: Command): Command {
  const command = program.command('generate').description('Answer a prompt, with or without an adapter.');
  addAdapterFile(addModelOptions(command));
  command
    .option('-p, --prompt <text>', 'the prompt (default: standard input)')
    .option('--system <text>', 'system prompt')
    .option('--raw', "continue the prompt as it is, without the model's chat template")
    .option('--max-tokens <n>', 'most new tokens', wholeNumber(1), 256)
    .option('--temperature <t>', '0 for greedy', numberBetween(0, 100), 0)
    .option('--top-k <k>', 'only the k likeliest tokens; 0 for all', wholeNumber(0), 0)
    .option('--top-p <p>', 'only the likeliest tokens of this probability together', numberBetween(0, 1), 1)
    .option('--seed <n>', 'decides the samples', wholeNumber(0), 0);
  return addJson(command).action(async (options: GenerateOptions) => generate(options));
}

async function generate(options: GenerateOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  const prompt = options.prompt ?? (await standardInput());
  const session = await openSession(options, reporter);
  const interrupt = onInterrupt();
  try {
    const ids = promptIds(session, prompt, options);
    const start = performance.now();
    let text = '';
    let tokens = 0;
    for await (const chunk of streamText(session.model, session.tokenizer, [ids], {
      ...options,
      signal: interrupt.signal,
    })) {
      text += chunk.text;
      tokens += chunk.tokens;
      if (options.json) reporter.event('text', { text: chunk.text });
      else process.stdout.write(chunk.text);
    }
    if (!options.json) process.stdout.write('\n');
    const seconds = (performance.now() - start) / 1000;
    reporter.event('done', { text, promptTokens: ids.length, tokens, seconds });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.stderr.write('\n');
    throw new Interrupted();
  } finally {
    interrupt.release();
    await session.close();
  }
}

function promptIds({ tokenizer, template }: Session, prompt: string, { raw, system }: GenerateOptions): Int32Array {
  if (raw === true || template === undefined) return tokenizer.encode(prompt);
  const messages: ChatMessage[] = [
    ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
    { role: 'user', content: prompt },
  ];
  return encodeChatPrompt(tokenizer, template, messages);
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY) {
    throw new CliError('CLI_INPUT', 'there is no prompt; give --prompt, or write it to standard input');
  }
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  return text.replace(/\n$/, '');
}
