import { Template } from '@huggingface/jinja';
import { ModelsError } from '../models-error.ts';
import { strftime } from './fixed-date.ts';
import type { ChatMessage } from './message.ts';

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
  let parsed: Template;
  try {
    parsed = parse(template.source);
  } catch (cause) {
    throw new ModelsError('MODELS_CHAT_TEMPLATE', `the model's chat template is not valid Jinja: ${messageOf(cause)}`, { cause });
  }
  try {
    return parsed.render({
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      bos_token: template.bosToken ?? '',
      eos_token: template.eosToken ?? '',
      strftime_now: (format: string) => strftime(template.date ?? DEFAULT_DATE, format),
      ...template.variables,
    });
  } catch (cause) {
    throw new ModelsError(
      'MODELS_CHAT_TEMPLATE',
      `the model's chat template does not take this conversation (roles: ${messages.map(({ role }) => role).join(', ')}): ${messageOf(cause)}`,
      { value: messages, cause },
    );
  }
}

/** Templates are few and rendered for every example: the last ones are kept parsed. */
const parsedTemplates = new Map<string, Template>();

function parse(source: string): Template {
  let parsed = parsedTemplates.get(source);
  if (parsed === undefined) {
    parsed = new Template(source);
    if (parsedTemplates.size >= 8) parsedTemplates.clear();
    parsedTemplates.set(source, parsed);
  }
  return parsed;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
