import { writeAtomically } from './atomic-file.ts';
import { layOut, pieces, placeAll, type PlacedTensor, type SafetensorsContents } from './file-layout.ts';
import { indexFile, modelFile } from './sharded-model.ts';
import { defaultMetadata } from './write-safetensors.ts';

export interface ShardOptions {
  /** Most bytes of tensors in one file, unless one tensor alone is larger. Default 5e9, transformers' own. */
  readonly maxShardBytes?: number;
}

/**
 * Writes a model's weights into a folder that is there (Node only): `model.safetensors`, or, where they are more than one
 * file should hold, `model-00001-of-00003.safetensors` and so on with `model.safetensors.index.json`, which is written last.
 * Each file is atomic. Resolves to the names of the files and the bytes written. Rejects as `writeSafetensors`.
 */
export async function writeSafetensorsModel(
  folder: string,
  { metadata = defaultMetadata, tensors }: SafetensorsContents,
  { maxShardBytes = 5e9 }: ShardOptions = {},
): Promise<{ files: string[]; bytes: number }> {
  const { join } = await import('node:path');
  const shards = split(placeAll(tensors), maxShardBytes);
  const number = (n: number): string => String(n).padStart(5, '0');
  const names = shards.map((_, i) =>
    shards.length === 1 ? modelFile : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`,
  );
  let bytes = 0;
  for (const [i, shard] of shards.entries()) {
    const layout = layOut(shard, metadata);
    await writeAtomically(join(folder, names[i]!), pieces(layout));
    bytes += layout.size;
  }
  if (shards.length === 1) return { files: names, bytes };
  const pairs = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]!] as const));
  const index = {
    metadata: { total_size: shards.flat().reduce((sum, { byteLength }) => sum + byteLength, 0) },
    weight_map: Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  const text = new TextEncoder().encode(`${JSON.stringify(index, undefined, 2)}\n`);
  await writeAtomically(join(folder, indexFile), once(text));
  return { files: [...names, indexFile], bytes: bytes + text.length };
}

function split(tensors: readonly PlacedTensor[], most: number): PlacedTensor[][] {
  const shards: PlacedTensor[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    if (size + tensor.byteLength > most && shards.at(-1)!.length > 0) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(tensor);
    size += tensor.byteLength;
  }
  return shards;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
