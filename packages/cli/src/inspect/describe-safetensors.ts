import { fileSource, openSafetensors, type SafetensorsReader } from '@lowrank/io-safetensors';
import { jsonLinesOf, type Description } from './description.ts';

/** @throws SafetensorsError for a file that is none, or damaged. */
export async function describeSafetensors(path: string): Promise<Description> {
  await using file = await openSafetensors(await fileSource(path));
  return {
    kind: 'safetensors',
    details: {},
    bytes: file.source.size,
    metadata: jsonLinesOf(Object.fromEntries(file.metadata)),
    tensors: tensorsOf(file),
  };
}

export function tensorsOf(file: SafetensorsReader): Description['tensors'] {
  return Array.from(file.tensors.values(), ({ name, dtype, shape, offset, byteLength }) => ({
    name,
    type: dtype.toLowerCase(),
    shape,
    offset,
    byteLength,
  }));
}
