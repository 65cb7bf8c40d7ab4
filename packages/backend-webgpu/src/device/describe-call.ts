/** A kernel's name and what it was called with, for errors: `matmul(f32[6], f32[8], { batch: 1, m: 3, ... })`. */
export function describeCall(kernel: string, args: readonly unknown[]): string {
  return `${kernel}(${args.map(describe).join(', ')})`;
}

/** Of a list, no more are told: an optimizer's step takes hundreds of parameters. */
const most = 16;

function describe(value: unknown): string {
  if (Array.isArray(value)) {
    const some = value.slice(0, most).map(describe).join(', ');
    return value.length > most ? `[${some}, ... (${value.length} in all)]` : `[${some}]`;
  }
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${(value as Uint8Array).length}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if ('dtype' in value && 'length' in value) return `${String(value.dtype)}[${String(value.length)}]`;
  const entries = Object.entries(value).map(([name, entry]) => `${name}: ${describe(entry)}`);
  return `{ ${entries.join(', ')} }`;
}
