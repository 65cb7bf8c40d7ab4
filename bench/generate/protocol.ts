/** What a subject is to generate: `tokens` greedy ones after a prompt of `prompt` tokens. */
export interface GenerateRequest {
  readonly prompt: readonly number[];
  readonly tokens: number;
}

export interface GenerateAnswer {
  /** From the call to the first new token. */
  readonly firstSeconds: number;
  /** From the first new token to the last. */
  readonly restSeconds: number;
  readonly ids: readonly number[];
  readonly peakBytes: number;
}

/** Takes the times of a stream of tokens. */
export async function timed(stream: AsyncIterable<number>, tokens: number): Promise<Omit<GenerateAnswer, 'peakBytes'>> {
  const begin = performance.now();
  let first = begin;
  const ids: number[] = [];
  for await (const id of stream) {
    if (ids.push(id) === 1) first = performance.now();
    if (ids.length === tokens) break;
  }
  return { firstSeconds: (first - begin) / 1000, restSeconds: (performance.now() - first) / 1000, ids };
}
