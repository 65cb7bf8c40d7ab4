import type { HeaderReader } from './header-reader.ts';
import type { GgufArray, GgufNumericType, GgufScalar, GgufValue, GgufValueType } from './value.ts';
import { deepestArray, isNumericType, numericArrays, valueTypeNames } from './value.ts';

/** Reads one metadata value, its type's number first. `what` names it in errors. */
export async function readValue(reader: HeaderReader, what: string): Promise<GgufValue> {
  const type = await readType(reader, what);
  if (type === 'array') return readArray(reader, what, 1);
  if (type === 'string') {
    await reader.needString(what);
    return { type, value: reader.string(what) };
  }
  if (type === 'bool') return { type, value: (await readBooleans(reader, 1, what))[0] as boolean };
  const [value] = await readNumbers(reader, type, 1, what);
  return { type, value } as GgufScalar;
}

async function readType(reader: HeaderReader, what: string): Promise<GgufValueType> {
  await reader.need(4, what);
  const id = reader.u32();
  const type = valueTypeNames[id];
  if (type === undefined) throw reader.corrupt(`${what} is of value type ${id}, which GGUF does not have`, id);
  return type;
}

/** The least that an element takes: a string its length, an array its type and count. */
const leastBytes = { bool: 1, string: 8, array: 12 } as const;

async function readArray(reader: HeaderReader, what: string, depth: number): Promise<GgufArray> {
  if (depth > deepestArray) throw reader.corrupt(`${what} nests arrays more than ${deepestArray} deep`, depth);
  const of = await readType(reader, what);
  await reader.need(8, what);
  const count = reader.size(`the number of elements of ${what}`);
  const least = isNumericType(of) ? numericArrays[of].BYTES_PER_ELEMENT : leastBytes[of];
  if (count * least > reader.remaining) throw reader.truncated(`${what} with ${count} elements`, count);
  if (isNumericType(of)) return { type: 'array', of, value: await readNumbers(reader, of, count, what) } as GgufArray;
  if (of === 'bool') return { type: 'array', of, value: await readBooleans(reader, count, what) };
  if (of === 'string') {
    const value: string[] = [];
    for (let i = 0; i < count; i++) {
      // Vocabularies hold hundreds of thousands: wait only where the window ends.
      if (!reader.hasString()) await reader.needString(what);
      value.push(reader.string(what));
    }
    return { type: 'array', of, value };
  }
  const value: GgufArray[] = [];
  for (let i = 0; i < count; i++) value.push(await readArray(reader, what, depth + 1));
  return { type: 'array', of, value };
}

async function readNumbers(
  reader: HeaderReader,
  type: GgufNumericType,
  count: number,
  what: string,
): Promise<ArrayLike<number | bigint> & Iterable<number | bigint>> {
  const Numbers = numericArrays[type];
  const length = count * Numbers.BYTES_PER_ELEMENT;
  await reader.need(length, what);
  return new Numbers(reader.bytes(length).buffer);
}

async function readBooleans(reader: HeaderReader, count: number, what: string): Promise<boolean[]> {
  await reader.need(count, what);
  const bytes = reader.bytes(count);
  const bad = bytes.find((byte) => byte > 1);
  if (bad !== undefined) throw reader.corrupt(`${what} holds a boolean of ${bad}`, bad);
  return Array.from(bytes, (byte) => byte === 1);
}
