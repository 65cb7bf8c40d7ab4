/**
 * A small checker for adapters' configurations: a table of fields gives the type, the defaults and the errors. Written
 * here rather than taken from a validation library because a plugin of a few kilobytes would otherwise carry one many
 * times its size, and because all adapters should word their errors alike.
 */
import { AdapterError } from './adapter.ts';

/** Says why a value is refused: what is accepted instead, and where inside the field (`'[1]'`). */
export type Refuse = (accepted: string, at?: string) => never;

/** One field: its value when left out, and its check. */
export interface ConfigField<T> {
  readonly fallback: T;
  read(value: unknown, refuse: Refuse): T;
}

type ConfigOf<F extends Readonly<Record<string, ConfigField<unknown>>>> = {
  readonly [K in keyof F]: F[K] extends ConfigField<infer T> ? T : never;
};

/**
 * A configuration from untrusted input: each field checked, absent ones (or `undefined`) set to their fallback.
 * @param type the adapter's, for messages.
 * @throws AdapterError ADAPTER_CONFIG, `path` naming the field that is wrong or unknown.
 */
export function readConfig<F extends Readonly<Record<string, ConfigField<unknown>>>>(
  type: string,
  input: unknown,
  fields: F,
): ConfigOf<F> {
  const given = input === undefined ? {} : plainObject(type, input);
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(fields, key)) {
      throw configError(
        type,
        key,
        given[key],
        `'${key}' is not an option; there are ${Object.keys(fields).join(', ')}`,
      );
    }
  }
  const config: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) {
    const value = given[key];
    const refuse: Refuse = (accepted, at = '') => {
      throw configError(type, key + at, value, `${key}${at} is ${show(value)}; give ${accepted}`);
    };
    config[key] = value === undefined ? field.fallback : field.read(value, refuse);
  }
  return config as ConfigOf<F>;
}

/** An `ADAPTER_CONFIG` error, for rules that span fields. */
export function configError(type: string, path: string, value: unknown, message: string): AdapterError {
  return new AdapterError('ADAPTER_CONFIG', `${type}: ${message}`, { path, value });
}

/** A whole number from `least` to `most`. */
export function wholeNumber(fallback: number, least: number, most: number): ConfigField<number> {
  return {
    fallback,
    read: (value, refuse) =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most
        ? (value as number)
        : refuse(`a whole number from ${least} to ${most}`),
  };
}

/** A finite number that `holds`; `accepted` says which in words. */
export function finiteNumber(
  fallback: number,
  accepted: string,
  holds: (value: number) => boolean,
): ConfigField<number> {
  return {
    fallback,
    read: (value, refuse) => (Number.isFinite(value) && holds(value as number) ? (value as number) : refuse(accepted)),
  };
}

export function flag(fallback: boolean): ConfigField<boolean> {
  return { fallback, read: (value, refuse) => (typeof value === 'boolean' ? value : refuse('true or false')) };
}

/** One of some names. */
export function oneOf<const T extends string>(fallback: NoInfer<T>, names: readonly T[]): ConfigField<T> {
  return {
    fallback,
    read: (value, refuse) =>
      names.find((name) => name === value) ?? refuse(`one of ${names.map((name) => `'${name}'`).join(', ')}`),
  };
}

/** `targetModules` and `excludeModules`: a list of names, or a regular expression as a string (or `'all-linear'`). */
export function moduleNames(fallback: readonly string[], least: 0 | 1): ConfigField<readonly string[] | string> {
  return {
    fallback,
    read: (value, refuse) => {
      if (typeof value === 'string') return readPattern(value, least, refuse);
      if (!Array.isArray(value) || value.length < least) {
        return refuse(`${least === 0 ? 'a' : 'a non-empty'} list of module names, or a regular expression as a string`);
      }
      value.forEach((name, i) => {
        if (typeof name !== 'string' || name === '') refuse('names that are not empty', `[${i}]`);
      });
      return [...(value as string[])];
    },
  };
}

/** A list of names that may be empty; one name stands for a list of one. They may be regular expressions, if valid. */
export function nameList(): ConfigField<readonly string[]> {
  return {
    fallback: [],
    read: (value, refuse) => {
      const names = typeof value === 'string' ? [value] : value;
      if (!Array.isArray(names)) return refuse('a list of names');
      names.forEach((name, i) => {
        if (typeof name !== 'string' || name === '' || !isPattern(name)) {
          refuse('names that are not empty, and valid as regular expressions', `[${i}]`);
        }
      });
      return [...(names as string[])];
    },
  };
}

/** Numbers of layers, each once and in order; one number stands for a list of one. */
export function layerNumbers(): ConfigField<readonly number[]> {
  return {
    fallback: [],
    read: (value, refuse) => {
      const numbers = typeof value === 'number' ? [value] : value;
      if (!Array.isArray(numbers)) return refuse('a list of layer numbers');
      numbers.forEach((number, i) => {
        if (!Number.isSafeInteger(number) || number < 0) refuse('whole numbers of 0 or more', `[${i}]`);
      });
      return [...new Set(numbers as number[])].toSorted((a, b) => a - b);
    },
  };
}

/**
 * Values for some modules, by name: see `patternValue`.
 * @param each checks one value.
 */
export function patternTable(each: ConfigField<number>): ConfigField<Readonly<Record<string, number>>> {
  return {
    fallback: {},
    read: (value, refuse) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return refuse('an object of module names and numbers');
      }
      for (const [name, one] of Object.entries(value)) {
        if (name === '' || !isPattern(name)) refuse('names that are valid regular expressions', `[${show(name)}]`);
        each.read(one, (accepted) => refuse(accepted, `[${show(name)}]`));
      }
      return { ...(value as Record<string, number>) };
    },
  };
}

function isPattern(pattern: string): boolean {
  try {
    void new RegExp(pattern);
    return true;
  } catch {
    return false;
  }
}

function readPattern(pattern: string, least: 0 | 1, refuse: Refuse): string {
  if (pattern === '' && least === 1) refuse('a list of module names, or a regular expression that is not empty');
  if (!isPattern(pattern)) refuse('a list of module names, or a valid regular expression as a string');
  return pattern;
}

function plainObject(type: string, input: unknown): Readonly<Record<string, unknown>> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw configError(type, '', input, `the configuration is ${show(input)}; give an object of options`);
  }
  return input as Readonly<Record<string, unknown>>;
}

/** A value as a message shows it: short, and never throwing. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
