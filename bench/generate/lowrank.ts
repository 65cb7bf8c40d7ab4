/**
 * Generation by lowrank, in a process of its own: node lowrank.ts <model> <engine> <threads>
 */
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { generateTokens, loadCausalLm, openBaseModel } from '@lowrank/models';
import { peakBytes, serve } from '../process/serve.ts';
import { timed, type GenerateAnswer, type GenerateRequest } from './protocol.ts';

const [path, engine, threads] = process.argv.slice(2) as [string, NonNullable<CpuOptions['engine']>, string];
await using base = await openBaseModel(path);
await using backend = await cpu({ engine, threads: Number(threads) });
const model = await loadCausalLm(base.file, backend);

async function* ids({ prompt, tokens }: GenerateRequest): AsyncGenerator<number> {
  for await (const { id } of generateTokens(model, [Int32Array.from(prompt)], { maxTokens: tokens })) yield id;
}

await serve({}, async (asked): Promise<GenerateAnswer> => {
  const request = asked as GenerateRequest;
  return { ...(await timed(ids(request), request.tokens)), peakBytes: peakBytes() };
});
model.dispose();
