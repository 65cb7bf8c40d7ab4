import * as jinja from '@huggingface/jinja';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import { strftime } from './fixed-date.ts';
import type { ChatMessage } from './message.ts';

/** The parts of the library used here; its own declarations do not resolve under Node's module rules. */
interface Jinja {
  tokenize: (source: string, options: { readonly lstrip_blocks: boolean; readonly trim_blocks: boolean }) => unknown[];
  parse: (tokens: unknown[]) => Program;
  Environment: new () => Environment;
  Interpreter: new (environment: Environment) => { run(program: Program): { readonly value: unknown } };
}

interface Environment {
  set(name: string, value: unknown): void;
}

/** A parsed template; opaque. */
interface Program {
  readonly body: unknown[];
}

const { tokenize, parse, Environment, Interpreter } = jinja as unknown as Jinja;

/** A model's chat template, a Jinja text, with what it may refer to. */
export interface ChatTemplate {
  /** `tokenizer.chat_template` of the GGUF. */
  readonly source: string;
  readonly bosToken?: string;
  readonly eosToken?: string;
  /** Further variables, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** What `strftime_now` gives, in UTC. Default 26 July 2024, which Llama 3's own template falls back to. */
  readonly date?: Date;
}

const DEFAULT_DATE = new Date(Date.UTC(2024, 6, 26));

/**
 * A conversation as the model's template writes it. `addGenerationPrompt` (default false) adds the head of an
 * assistant's turn for the model to go on from. Note that templates may add of their own: SmolLM2's puts a default
 * system prompt where the conversation does not begin with one.
 * @throws ModelsError MODELS_CHAT_TEMPLATE when the template is not valid Jinja or rejects the conversation.
 */
export function renderChat(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = false }: { readonly addGenerationPrompt?: boolean } = {},
): string {
  let program: Program;
  try {
    program = parsed(template.source);
  } catch (cause) {
    throw new ModelsError('MODELS_CHAT_TEMPLATE', `the model's chat template is not valid Jinja: ${messageOf(cause)}`, {
      cause,
    });
  }
  try {
    const environment = new Environment();
    const variables = {
      ...globals(template.date ?? DEFAULT_DATE),
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      bos_token: template.bosToken ?? '',
      eos_token: template.eosToken ?? '',
      ...template.variables,
    };
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return String(new Interpreter(environment).run(program).value);
  } catch (cause) {
    throw new ModelsError(
      'MODELS_CHAT_TEMPLATE',
      `the model's chat template does not take this conversation (roles: ${messages.map(({ role }) => role).join(', ')}): ${messageOf(cause)}`,
      { value: messages, cause },
    );
  }
}

/** What Hugging Face's chat templates may call; the library's own set has today's date in it. */
function globals(date: Date): Record<string, unknown> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range: (start: number, stop?: number, step = 1) => range(stop === undefined ? 0 : start, stop ?? start, step),
    strftime_now: (format: string) => strftime(date, format),
    raise_exception: (message: string) => {
      throw new Error(message);
    },
  };
}

function range(start: number, stop: number, step: number): number[] {
  const numbers: number[] = [];
  if (step === 0) throw new Error('range() with step 0');
  for (let i = start; step > 0 ? i < stop : i > stop; i += step) numbers.push(i);
  return numbers;
}

/** Templates are few and rendered for every example: the last ones are kept parsed. */
const parsedTemplates = new Map<string, Program>();

function parsed(source: string): Program {
  let program = parsedTemplates.get(source);
  if (program === undefined) {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
    if (parsedTemplates.size >= 8) parsedTemplates.clear();
    parsedTemplates.set(source, program);
  }
  return program;
}
