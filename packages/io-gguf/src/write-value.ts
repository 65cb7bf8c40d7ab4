import type { ByteWriter } from './byte-writer.ts';
import { GgufError } from './gguf-error.ts';
import type { GgufArray, GgufNumericType, GgufValue } from './value.ts';
import { deepestArray, isNumericType, numericArrays, valueTypeNames } from './value.ts';

/** Writes one metadata value, its type's number first. Throws `GGUF_INVALID` where the value is not of its type. */
export function writeValue(writer: ByteWriter, key: string, entry: GgufValue): void {
  writer.u32(typeId(entry.type, key));
  if (entry.type === 'array') writeArray(writer, key, entry, 1);
  else if (entry.type === 'string') writeString(writer, key, entry.value);
  else if (entry.type === 'bool') writeBoolean(writer, key, entry.value);
  else writeNumber(writer, key, entry.type, entry.value);
}

function writeArray(writer: ByteWriter, key: string, array: GgufArray, depth: number): void {
  if (depth > deepestArray) throw invalid(key, `nests arrays more than ${deepestArray} deep`, depth);
  const { of, value } = array;
  writer.u32(typeId(of, key));
  if (isNumericType(of)) {
    if (!(value instanceof numericArrays[of])) {
      throw invalid(key, `is an array of ${of}, whose value must be a ${numericArrays[of].name}`, value);
    }
    writer.u64(value.length);
    writer.bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return;
  }
  if (!Array.isArray(value)) throw invalid(key, `is an array of ${of}, whose value must be an array`, value);
  writer.u64(value.length);
  for (const element of value as readonly unknown[]) {
    if (of === 'string') writeString(writer, key, element);
    else if (of === 'bool') writeBoolean(writer, key, element);
    else writeInner(writer, key, element, depth + 1);
  }
}

function writeInner(writer: ByteWriter, key: string, element: unknown, depth: number): void {
  if (typeof element !== 'object' || element === null || (element as GgufArray).type !== 'array') {
    throw invalid(key, 'is an array of arrays, whose elements must be { type: "array", of, value }', element);
  }
  writeArray(writer, key, element as GgufArray, depth);
}

function writeString(writer: ByteWriter, key: string, value: unknown): void {
  if (typeof value !== 'string') throw invalid(key, 'holds a string that is none', value);
  writer.string(wellFormed(value, `metadata ${key}`));
}

function writeBoolean(writer: ByteWriter, key: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalid(key, 'holds a boolean that is none', value);
  writer.u8(value ? 1 : 0);
}

function writeNumber(writer: ByteWriter, key: string, type: GgufNumericType, value: unknown): void {
  const wanted = type === 'u64' || type === 'i64' ? 'bigint' : 'number';
  if (typeof value !== wanted) throw invalid(key, `is ${type}, whose value must be a ${wanted}`, value);
  const stored = numericArrays[type].of(value as never);
  // A typed array wraps what it cannot hold; f32 may round, but not to infinity.
  const kept =
    type === 'f64' || (type === 'f32' ? Number.isFinite(stored[0]) || !Number.isFinite(value) : stored[0] === value);
  if (!kept) throw invalid(key, `is ${type}, which cannot hold ${String(value)}`, value);
  writer.bytes(new Uint8Array(stored.buffer));
}

function typeId(type: string, key: string): number {
  const id = (valueTypeNames as readonly string[]).indexOf(type);
  if (id < 0) throw invalid(key, `is of type ${type}, which GGUF does not have`, type);
  return id;
}

/** The string, or `GGUF_INVALID` where half a surrogate pair would turn into U+FFFD. */
export function wellFormed(value: string, what: string): string {
  if (/\p{Surrogate}/u.test(value)) {
    throw new GgufError(
      'GGUF_INVALID',
      `${what} holds half a surrogate pair, which UTF-8 has no bytes for. Clean the text first.`,
      { value },
    );
  }
  return value;
}

function invalid(key: string, problem: string, value: unknown): GgufError {
  return new GgufError('GGUF_INVALID', `Metadata ${key} ${problem}. Give { type, value } as \`openGguf\` reads them.`, {
    value,
  });
}
