/** What one line of a data set may be. */
import * as z from 'zod';

const message = z.object({ role: z.string().min(1), content: z.string() });

const chatRecord = z.object({ messages: z.array(message).min(1) });
const completionRecord = z.object({ prompt: z.string(), completion: z.string() });
const textRecord = z.object({ text: z.string() });

/** A conversation, trained on its assistant turns. */
export interface ChatRecord {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** A text to go on from and how it goes on. Taken as they are: no chat template is put around them. */
export interface CompletionRecord {
  readonly prompt: string;
  readonly completion: string;
}

/** A text to train on from beginning to end. */
export interface TextRecord {
  readonly text: string;
}

export type DataRecord = ChatRecord | CompletionRecord | TextRecord;

/**
 * A line's JSON value as a record, without the fields that training has no use for; or, as a string, what is wrong with it.
 * Where a line has the fields of several forms, `messages` goes before `prompt` and `completion`, and these before `text`.
 */
export function parseRecord(value: unknown): DataRecord | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `it is ${Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`}, not an object`;
  }
  const form =
    'messages' in value ? chatRecord : 'prompt' in value || 'completion' in value ? completionRecord : textRecord;
  if (form === textRecord && !('text' in value)) {
    const keys = Object.keys(value);
    const found = keys.length === 0 ? 'no fields' : `the fields ${keys.slice(0, 8).join(', ')}`;
    return `it has ${found}; expected "messages", or "prompt" and "completion", or "text"`;
  }
  const result = form.safeParse(value);
  return result.success ? result.data : describe(result.error.issues[0]!);
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.reduce<string>(
    (at, key) => (typeof key === 'number' ? `${at}[${key}]` : at === '' ? String(key) : `${at}.${String(key)}`),
    '',
  );
  return `${path}: ${issue.message}`;
}
