import { stat } from 'node:fs/promises';
import { fileSource, openGguf, type GgufFile } from '@lowrank/io-gguf';
import type { Base } from '../adapters/base.ts';
import { chatTemplateFromGguf, type ChatTemplate } from '../chat/index.ts';
import { openHfFolder, type HfFolder } from '../hugging-face/hf-folder.ts';
import { chatTemplateFromFolder, tokenizerFromFolder } from '../hugging-face/tokenizer-folder.ts';
import { tokenizerFromGguf, type Tokenizer } from '../tokenizer/index.ts';
import { configFromGguf } from './config.ts';
import { isTied } from './weight-source.ts';

/** A base model's files, open, of either kind: a GGUF, or a Hugging Face folder. Close it when done. */
export interface BaseModel extends Base, AsyncDisposable {
  readonly path: string;
  /** What `loadCausalLm` takes. */
  readonly file: GgufFile | HfFolder;
  tokenizer(): Promise<Tokenizer>;
  chatTemplate(tokenizer: Tokenizer): Promise<ChatTemplate | undefined>;
  close(): Promise<void>;
}

/**
 * Opens a base model by its path and reads its header, no weights.
 * @throws ModelsError, GgufError and SafetensorsError as `configFromGguf` and `openHfFolder` do.
 */
export async function openBaseModel(path: string): Promise<BaseModel> {
  if ((await stat(path).catch(() => undefined))?.isDirectory() === true) {
    const folder = await openHfFolder(path);
    return {
      path,
      file: folder,
      config: folder.config,
      tied: folder.tied,
      tokenizer: () => tokenizerFromFolder(path),
      chatTemplate: (tokenizer) => chatTemplateFromFolder(path, tokenizer),
      close: () => folder.close(),
      [Symbol.asyncDispose]: () => folder.close(),
    };
  }
  const file = await openGguf(await fileSource(path));
  try {
    return {
      path,
      file,
      config: configFromGguf(file),
      tied: isTied(file),
      tokenizer: async () => tokenizerFromGguf(file.metadata),
      chatTemplate: async (tokenizer) => chatTemplateFromGguf(file.metadata, tokenizer),
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Whether an open model is a folder. */
export function isFolder(file: GgufFile | HfFolder): file is HfFolder {
  return 'weights' in file;
}
