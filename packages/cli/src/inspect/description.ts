/** What a file or folder holds. */
export interface Description {
  /** For people: `GGUF v3`. */
  readonly kind: string;
  /** For machines, besides what is below. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly bytes: number;
  readonly metadata: readonly MetadataLine[];
  readonly tensors: readonly {
    readonly name: string;
    readonly type: string;
    readonly shape: readonly number[];
    readonly offset: number;
    readonly byteLength: number | null;
  }[];
}

export interface MetadataLine {
  readonly key: string;
  /** The value's type where the format has types. */
  readonly type?: string;
  /** As JSON holds it. */
  readonly value: unknown;
  /** For people, cut to a line. */
  readonly text: string;
}

/** Lines for a JSON object's keys. */
export function jsonLinesOf(object: Readonly<Record<string, unknown>>): MetadataLine[] {
  return Object.entries(object).map(([key, value]) => ({ key, value, text: cut(JSON.stringify(value), 160) }));
}

export function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
