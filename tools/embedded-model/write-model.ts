import { encodeArray } from '@lowrank/core';
import { writeGguf, type GgufFile, type GgufTensorInput, type GgufValue } from '@lowrank/io-gguf';
import { ggufName, type CausalLm } from '@lowrank/models';

/** What the file says of its own training. Losses are nats a character, on names alone. */
export interface TrainingFigures {
  readonly seed: number;
  readonly steps: number;
  readonly tokens: number;
  readonly trainLoss: number;
  readonly validationLoss: number;
}

/** Writes a trained model: matrices as F16, norms as F32. `file` is the one it began as. Resolves to its size in bytes. */
export async function writeModel(
  path: string,
  file: GgufFile,
  model: CausalLm,
  figures: TrainingFigures,
): Promise<number> {
  const text = (value: string): GgufValue => ({ type: 'string', value });
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text('llama')],
    ['general.type', text('model')],
    ['general.name', text('names')],
    ['general.description', text('A character model of English first names, for tests and demonstrations')],
    ['general.license', text('mit')],
    ['general.file_type', { type: 'u32', value: 1 }],
    ['training.seed', { type: 'u32', value: figures.seed }],
    ['training.steps', { type: 'u32', value: figures.steps }],
    ['training.tokens', { type: 'u32', value: figures.tokens }],
    ['training.loss', { type: 'f32', value: Math.fround(figures.trainLoss) }],
    ['training.validation_loss', { type: 'f32', value: Math.fround(figures.validationLoss) }],
    ...[...file.metadata].filter(([key]) => !key.startsWith('general.')),
  ]);
  const tensors: GgufTensorInput[] = [];
  for (const [pathAndPart, weight] of model.allWeights()) {
    const path = pathAndPart.replace(/\.weight$/, '');
    // The head is the embedding's table.
    if (path === 'lm_head') continue;
    if (!('data' in weight)) throw new Error(`${path} was not trained`);
    const values = Float32Array.from(await weight.data());
    const array = encodeArray(values, weight.shape, weight.shape.length === 2 ? 'f16' : 'f32');
    tensors.push({ name: `${ggufName(model.config.architecture, path)}.weight`, array });
  }
  return writeGguf(path, { metadata, tensors });
}
