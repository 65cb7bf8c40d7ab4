import { availableParallelism, cpus, totalmem } from 'node:os';

/** The machine in words, the same for every figure of a run. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const threads = availableParallelism();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${model}, ${threads} thread${threads === 1 ? '' : 's'}, ${memory} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}
