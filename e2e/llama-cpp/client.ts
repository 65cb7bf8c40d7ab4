/** llama.cpp as its users run it, through node-llama-cpp: one thread, nothing rounded below f32 but what the files say. */
import { getLlama, LlamaLogLevel, type Token } from 'node-llama-cpp';

export interface LlamaCpp extends AsyncDisposable {
  /** The likeliest tokens after a prompt, until one that ends generation, `maxTokens` at most. */
  greedy(prompt: Int32Array, maxTokens: number): Promise<number[]>;
  /** Logits behind tokens `from` to the last: a row for each, [vocabulary]. */
  logits(tokens: Int32Array, from: number): Promise<Float64Array[]>;
}

/** Opens a model, with an adapter on it where one is given. Token ids go in and come out: no tokenizer takes part. */
export async function openLlamaCpp(
  modelPath: string,
  { adapterPath }: { adapterPath?: string } = {},
): Promise<LlamaCpp> {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, progressLogs: false });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({
    contextSize: 256,
    threads: 1,
    flashAttention: false,
    // Deprecated means experimental there; the default, F16, alone moves log-probabilities by 7e-3.
    // oxlint-disable-next-line typescript/no-deprecated
    experimentalKvCacheKeyType: 'F32',
    // oxlint-disable-next-line typescript/no-deprecated
    experimentalKvCacheValueType: 'F32',
    ...(adapterPath === undefined ? {} : { lora: adapterPath }),
  });
  const sequence = context.getSequence();
  return {
    async greedy(prompt, maxTokens) {
      await sequence.clearHistory();
      const ids: number[] = [];
      for await (const id of sequence.evaluate(Array.from(prompt) as Token[], { temperature: 0 })) {
        if (ids.push(id) === maxTokens) break;
      }
      return ids;
    },
    async logits(tokens, from) {
      await sequence.clearHistory();
      const outputs = await sequence.controlledEvaluate(
        Array.from(tokens, (id, i) =>
          i < from ? (id as Token) : [id as Token, { generateNext: { logits: true, options: { temperature: 0 } } }],
        ),
      );
      return outputs.slice(from).map((output) => row(output!.next.logits!));
    },
    async [Symbol.asyncDispose]() {
      await llama.dispose();
    },
  };
}

function row(logits: ReadonlyMap<number, number>): Float64Array {
  const values = new Float64Array(logits.size);
  for (const [id, logit] of logits) values[id] = logit;
  return values;
}
