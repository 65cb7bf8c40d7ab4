import { CoreError } from '../errors/core-error.ts';

/** What a scope owns: tensors. Seen from here only as something to dispose of. */
interface Owned {
  dispose(): void;
}

const scopes: Set<Owned>[] = [];
let recording = true;

/** Called for each new tensor: the innermost scope owns it. */
export function track(tensor: Owned): void {
  scopes.at(-1)?.add(tensor);
}

/** Called when a tensor is disposed by hand. */
export function untrack(tensor: Owned): void {
  for (const scope of scopes) scope.delete(tensor);
}

/** Takes a tensor out of every scope: it lives until it is disposed. Returns it. */
export function keep<T extends Owned>(tensor: T): T {
  untrack(tensor);
  return tensor;
}

/**
 * Runs `body` and frees every tensor made in it except those it returns (alone, or in arrays and plain objects),
 * which pass to the scope around it. `body` is synchronous: nothing is ambient across an await.
 */
export function scope<T>(body: () => T extends PromiseLike<unknown> ? never : T): T {
  const made = new Set<Owned>();
  scopes.push(made);
  let result: T;
  try {
    result = body();
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      throw new CoreError(
        'CORE_ARGUMENT',
        'scope: the callback returned a promise; scopes are synchronous, await outside of them',
      );
    }
  } catch (error) {
    scopes.pop();
    for (const tensor of made) tensor.dispose();
    throw error;
  }
  scopes.pop();
  const returned = new Set<Owned>();
  collect(result, made, returned);
  for (const tensor of made) {
    if (returned.has(tensor)) track(tensor);
    else tensor.dispose();
  }
  return result;
}

/** Finds in `value` what is in `made`. */
function collect(value: unknown, made: ReadonlySet<Owned>, found: Set<Owned>): void {
  if (typeof value !== 'object' || value === null) return;
  if (made.has(value as Owned)) {
    found.add(value as Owned);
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, made, found);
  } else if (value instanceof Map) {
    for (const item of value.values()) collect(item, made, found);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) collect(item, made, found);
  }
}

/** Whether operations are recorded for backward. */
export function isRecording(): boolean {
  return recording;
}

/** Runs `body` without recording operations for backward. Synchronous, as `scope`. */
export function noGrad<T>(body: () => T extends PromiseLike<unknown> ? never : T): T {
  return withRecording(false, body);
}

/** Runs `body` with recording on or off. */
export function withRecording<T>(on: boolean, body: () => T): T {
  const before = recording;
  recording = on;
  try {
    return body();
  } finally {
    recording = before;
  }
}
