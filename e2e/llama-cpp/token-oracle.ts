/** llama.cpp's tokenizer, through node-llama-cpp: what token ids are held against. */
import { LlamaLogLevel, getLlama } from 'node-llama-cpp';

export interface TokenOracle extends AsyncDisposable {
  encode(text: string, options: { readonly parseSpecial: boolean }): number[];
  /** Whether generation ends at this token. */
  endsGeneration(id: number): boolean;
}

export async function tokenOracle(modelPath: string): Promise<TokenOracle> {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.disabled, progressLogs: false });
  const model = await llama.loadModel({ modelPath });
  return {
    encode: (text, { parseSpecial }) => Array.from(model.tokenize(text, parseSpecial), Number),
    endsGeneration: (id) => model.isEogToken(id as Parameters<typeof model.isEogToken>[0]),
    async [Symbol.asyncDispose]() {
      await model.dispose();
      await llama.dispose();
    },
  };
}
