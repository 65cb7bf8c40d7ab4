/**
 * Generation by llama.cpp, through node-llama-cpp with its own defaults, in a process of its own:
 * node llama-cpp.ts <model> <threads> <context size>
 */
import { getLlama, LlamaLogLevel, type Token } from 'node-llama-cpp';
import { peakBytes, serve } from '../process/serve.ts';
import { timed, type GenerateAnswer, type GenerateRequest } from './protocol.ts';

const [modelPath, threads, contextSize] = process.argv.slice(2) as [string, string, string];
const count = Number(threads);
const llama = await getLlama({
  gpu: false,
  build: 'never',
  maxThreads: count,
  logLevel: LlamaLogLevel.error,
  progressLogs: false,
});
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: Number(contextSize), threads: { ideal: count, min: count } });
const sequence = context.getSequence();

await serve({}, async (asked): Promise<GenerateAnswer> => {
  const { prompt, tokens } = asked as GenerateRequest;
  await sequence.clearHistory();
  // The end of a turn does not end it: both subjects are to make the same number of tokens.
  const stream = sequence.evaluate([...prompt] as Token[], { temperature: 0, yieldEogToken: true });
  return { ...(await timed(stream, tokens)), peakBytes: peakBytes() };
});
await llama.dispose();
