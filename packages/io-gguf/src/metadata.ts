import { GgufError } from './gguf-error.ts';
import type { GgufValue } from './value.ts';

/**
 * A GGUF's key-value pairs, in the file's order, with getters for each kind of value.
 * A getter called with a key alone throws `GGUF_METADATA_MISSING` where the key is absent; called with a fallback it gives that.
 * Both throw `GGUF_METADATA_TYPE` where the value is of another kind.
 */
export class GgufMetadata extends Map<string, GgufValue> {
  string(key: string): string;
  string<T>(key: string, fallback: T): string | T;
  string(key: string, ...fallback: unknown[]): unknown {
    return this.#get(key, 'a string', fallback, (entry) => (entry.type === 'string' ? entry.value : undefined));
  }

  boolean(key: string): boolean;
  boolean<T>(key: string, fallback: T): boolean | T;
  boolean(key: string, ...fallback: unknown[]): unknown {
    return this.#get(key, 'a boolean', fallback, (entry) => (entry.type === 'bool' ? entry.value : undefined));
  }

  /** A number of any type; a 64-bit integer only where a JavaScript number holds it exactly. */
  number(key: string): number;
  number<T>(key: string, fallback: T): number | T;
  number(key: string, ...fallback: unknown[]): unknown {
    return this.#get(key, 'a number that JavaScript holds exactly', fallback, numberOf);
  }

  /** A number of an integer type: counts, sizes, token ids. */
  integer(key: string): number;
  integer<T>(key: string, fallback: T): number | T;
  integer(key: string, ...fallback: unknown[]): unknown {
    return this.#get(key, 'an integer that JavaScript holds exactly', fallback, (entry) =>
      entry.type === 'f32' || entry.type === 'f64' ? undefined : numberOf(entry),
    );
  }

  strings(key: string): readonly string[];
  strings<T>(key: string, fallback: T): readonly string[] | T;
  strings(key: string, ...fallback: unknown[]): unknown {
    return this.#get(key, 'an array of strings', fallback, (entry) =>
      entry.type === 'array' && entry.of === 'string' ? entry.value : undefined,
    );
  }

  /** An array of numbers of any type but the 64-bit integers. */
  numbers(key: string): readonly number[];
  numbers<T>(key: string, fallback: T): readonly number[] | T;
  numbers(key: string, ...fallback: unknown[]): unknown {
    return this.#get(key, 'an array of numbers', fallback, (entry) => {
      if (entry.type !== 'array' || entry.of === 'string' || entry.of === 'bool' || entry.of === 'array') {
        return undefined;
      }
      return entry.of === 'u64' || entry.of === 'i64' ? undefined : Array.from(entry.value);
    });
  }

  #get(key: string, wanted: string, fallback: unknown[], pick: (entry: GgufValue) => unknown): unknown {
    const entry = this.get(key);
    if (entry === undefined) {
      if (fallback.length > 0) return fallback[0];
      throw new GgufError(
        'GGUF_METADATA_MISSING',
        `The file's metadata has no ${key}, which should be ${wanted}. It may be of another kind than expected.`,
        {
          value: key,
        },
      );
    }
    const value = pick(entry);
    if (value === undefined) {
      const found =
        entry.type === 'array' ? `an array of ${entry.of}` : `${entry.type} ${String(entry.value).slice(0, 80)}`;
      throw new GgufError('GGUF_METADATA_TYPE', `The file's metadata ${key} should be ${wanted} but is ${found}.`, {
        value: entry,
      });
    }
    return value;
  }
}

function numberOf(entry: GgufValue): number | undefined {
  if (typeof entry.value === 'number') return entry.value;
  if (typeof entry.value !== 'bigint') return undefined;
  const number = Number(entry.value);
  return Number.isSafeInteger(number) ? number : undefined;
}
