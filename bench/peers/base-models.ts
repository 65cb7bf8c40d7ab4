import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openBaseModel, resolveModel, writeMergedFolder, writeMergedGguf } from '@lowrank/models';
import { filledOnce } from '../process/once.ts';

/** The same weights in the forms that the subjects read. */
export interface BaseModels {
  /** As it was given: blocks. */
  readonly quantized: string;
  /** A GGUF in f32, for lowrank and llama.cpp. */
  readonly f32: string;
  /** A Hugging Face folder in f32, for transformers: what a user of PEFT has. */
  readonly folder: string;
}

/** Makes the f32 forms in the cache where they are not there yet. */
export async function baseModels(nameOrPath: string): Promise<BaseModels> {
  const { path } = await resolveModel(nameOrPath);
  const { size, mtimeMs } = await stat(path);
  const made = await filledOnce('model', `${path} ${size} ${mtimeMs}`, async (folder) => {
    process.stderr.write('bench: writing the model in f32 in the cache, once\n');
    await using base = await openBaseModel(path);
    await writeMergedGguf(join(folder, 'f32.gguf'), base.file, base, { type: 'f32' });
    await writeMergedFolder(join(folder, 'f32'), base.file, base, { type: 'f32' });
  });
  return { quantized: path, f32: join(made, 'f32.gguf'), folder: join(made, 'f32') };
}
