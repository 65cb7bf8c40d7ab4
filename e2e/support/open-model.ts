/** A model from a GGUF file, with its tokenizer. */
import type { Backend } from '@lowrank/core';
import { fileSource, openGguf, type GgufFile } from '@lowrank/io-gguf';
import {
  chatTemplateFromGguf,
  loadCausalLm,
  tokenizerFromGguf,
  type CausalLm,
  type ChatTemplate,
  type Tokenizer,
} from '@lowrank/models';

export interface OpenModel extends AsyncDisposable {
  readonly file: GgufFile;
  readonly model: CausalLm;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | undefined;
}

export async function openModel(path: string, backend: Backend): Promise<OpenModel> {
  const file = await openGguf(await fileSource(path));
  const model = await loadCausalLm(file, backend);
  const tokenizer = tokenizerFromGguf(file.metadata);
  return {
    file,
    model,
    tokenizer,
    template: chatTemplateFromGguf(file.metadata, tokenizer),
    async [Symbol.asyncDispose]() {
      model.dispose();
      await file.close();
    },
  };
}
