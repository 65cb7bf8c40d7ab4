import type { HostArray } from '@lowrank/core';
import type { ByteSource } from './byte-source.ts';
import { messageOf } from './byte-source.ts';
import { fileSource } from './file-source.ts';
import type { SafetensorsTensorInfo } from './read-header.ts';
import { openSafetensors, type SafetensorsFile, type SafetensorsReader } from './safetensors-file.ts';
import { SafetensorsError } from './safetensors-error.ts';
import { duplicateKey } from './json-keys.ts';

/** The names that Hugging Face gives to a model's weights. */
export const modelFile = 'model.safetensors';
export const indexFile = 'model.safetensors.index.json';

/** Several files that are one model, read as if they were one file. */
export class ShardedSafetensors implements SafetensorsReader {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, SafetensorsTensorInfo>;
  readonly #shards: ReadonlyMap<string, SafetensorsFile>;

  /** @param shards by tensor name. */
  constructor(name: string, shards: ReadonlyMap<string, SafetensorsFile>) {
    this.name = name;
    this.#shards = shards;
    this.tensors = new Map([...shards].map(([tensor, shard]) => [tensor, shard.tensors.get(tensor)!]));
  }

  async read(name: string): Promise<HostArray> {
    return this.#shard(name).read(name);
  }

  async readBytes(name: string): Promise<Uint8Array> {
    return this.#shard(name).readBytes(name);
  }

  async close(): Promise<void> {
    for (const shard of new Set(this.#shards.values())) await shard.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #shard(name: string): SafetensorsFile {
    const shard = this.#shards.get(name);
    if (shard !== undefined) return shard;
    throw new SafetensorsError('SAFETENSORS_NO_TENSOR', `${this.name} has no tensor ${name}.`, {
      file: this.name,
      tensor: name,
      value: name,
    });
  }
}

/**
 * Opens a model's weights in a folder (Node only): `model.safetensors`, or the shards that `model.safetensors.index.json`
 * names. Rejects with `SAFETENSORS_NOT_FOUND` where there are neither, `SAFETENSORS_INDEX` where index and shards contradict
 * each other, and as {@link openSafetensors}; nothing stays open then.
 */
export async function openSafetensorsModel(folder: string): Promise<SafetensorsReader> {
  const { readFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  const indexPath = join(folder, indexFile);
  let text: string;
  try {
    text = await readFile(indexPath, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new SafetensorsError('SAFETENSORS_IO', `Could not read ${indexPath}: ${messageOf(cause)}`, {
        file: indexPath,
        cause,
      });
    }
    return openSafetensors(await fileSource(join(folder, modelFile)));
  }
  return openShards(indexPath, text, (shard) => fileSource(join(folder, shard)));
}

/** Opens what an index names; `open` gives each shard's source. Rejects as {@link openSafetensorsModel}. */
export async function openShards(
  name: string,
  index: string,
  open: (shard: string) => Promise<ByteSource>,
): Promise<ShardedSafetensors> {
  const weightMap = parseIndex(name, index);
  const files = new Map<string, SafetensorsFile>();
  try {
    for (const shard of new Set(weightMap.values())) files.set(shard, await openSafetensors(await open(shard)));
    for (const [tensor, shard] of weightMap) {
      if (!files.get(shard)!.tensors.has(tensor)) throw wrongIndex(name, tensor, `${shard} does not hold it`);
    }
    for (const [shard, file] of files) {
      for (const tensor of file.tensors.keys()) {
        if (weightMap.get(tensor) !== shard) {
          throw wrongIndex(name, tensor, `it stands in ${shard} without being listed there`);
        }
      }
    }
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
  return new ShardedSafetensors(name, new Map([...weightMap].map(([tensor, shard]) => [tensor, files.get(shard)!])));
}

function parseIndex(name: string, text: string): ReadonlyMap<string, string> {
  const fail = (why: string, cause?: unknown): never => {
    throw new SafetensorsError('SAFETENSORS_INDEX', `${name} is not a model's index: ${why}.`, { file: name, cause });
  };
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch (cause) {
    return fail(`it is not JSON (${messageOf(cause)})`, cause);
  }
  const map =
    typeof index === 'object' && index !== null ? (index as Record<string, unknown>)['weight_map'] : undefined;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return fail('it has no weight_map');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw wrongIndex(name, twice, 'it is listed twice');
  for (const [tensor, shard] of Object.entries(map)) {
    // A name alone: an index must not lead out of its folder.
    if (typeof shard !== 'string' || !/^[^/\\]+\.safetensors$/.test(shard)) {
      throw wrongIndex(name, tensor, `${JSON.stringify(shard)} is not the name of a .safetensors file beside it`);
    }
  }
  return new Map(Object.entries(map as Record<string, string>));
}

function wrongIndex(file: string, tensor: string, why: string): SafetensorsError {
  return new SafetensorsError(
    'SAFETENSORS_INDEX',
    `${file} is wrong about tensor ${tensor}: ${why}. Get the files again.`,
    {
      file,
      tensor,
      value: tensor,
    },
  );
}
