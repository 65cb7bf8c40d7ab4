import { fileSource, openGguf, type GgufValue } from '@lowrank/io-gguf';
import { countText } from '../format.ts';
import { cut, type Description } from './description.ts';

/** @throws GgufError for a file that is none, or damaged. */
export async function describeGguf(path: string): Promise<Description> {
  await using file = await openGguf(await fileSource(path));
  return {
    kind: `GGUF v${file.version}`,
    details: { version: file.version, alignment: file.alignment },
    bytes: file.source.size,
    metadata: Array.from(file.metadata, ([key, value]) => ({
      key,
      type: value.type,
      value: plain(value),
      text: short(value),
    })),
    tensors: Array.from(file.tensors.values(), ({ name, type, shape, offset, byteLength }) => ({
      name,
      type,
      shape,
      offset,
      byteLength: byteLength ?? null,
    })),
  };
}

/** JSON has no 64-bit integers: they become text. */
function plain(value: GgufValue): unknown {
  return JSON.parse(
    JSON.stringify(asArray(value.value), (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item)),
  );
}

function asArray(value: unknown): unknown {
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<unknown>) : value;
}

function short(value: GgufValue): string {
  if (value.type === 'array') {
    const items = Array.from(value.value as ArrayLike<string | number | bigint | boolean | object>).slice(0, 4);
    const head = items.map((item) => (typeof item === 'object' ? '…' : cut(String(item), 24)));
    return `[${head.join(', ')}${value.value.length > 4 ? ', …' : ''}] (${countText(value.value.length)} of ${value.of})`;
  }
  return cut(JSON.stringify(typeof value.value === 'bigint' ? String(value.value) : value.value), 160);
}
