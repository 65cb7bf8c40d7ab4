/** A kernel's name and what it was called with, for errors: `matmul(f32[6], f32[8], { batch: 1, m: 3, ... })`. */
export function describeCall(kernel: string, args: readonly unknown[]): string {
  return `${kernel}(${args.map(describe).join(', ')})`;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${(value as Uint8Array).length}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if ('dtype' in value && 'length' in value) return `${String(value.dtype)}[${String(value.length)}]`;
  const entries = Object.entries(value).map(([name, entry]) => `${name}: ${describe(entry)}`);
  return `{ ${entries.join(', ')} }`;
}
