import type { BaseModels } from '../peers/base-models.ts';
import { pytorch } from '../peers/pytorch/install.ts';
import { program, type Start } from '../process/subject.ts';
import type { Trainee } from './cases.ts';

/** How to start one that trains. */
export async function commandOf({ engine, base, shape }: Trainee, threads: number, models: BaseModels): Promise<Start> {
  const settings = JSON.stringify({ ...shape, threads });
  if (engine === undefined) {
    return pytorch('train.py', [models.folder, settings]);
  }
  const model = base === 'quantized' ? models.quantized : models.f32;
  return program(import.meta.url, 'worker.ts', [model, settings, engine, ...(base === 'nf4' ? ['nf4'] : [])]);
}
