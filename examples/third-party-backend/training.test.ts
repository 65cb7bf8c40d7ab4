/** The embedded model learns one line on the third party's backend, as in the README of @lowrank/models. */
import { lora } from '@lowrank/adapter-lora';
import { openGguf } from '@lowrank/io-gguf';
import {
  embeddedModel,
  fineTune,
  generateTexts,
  loadCausalLm,
  tokenizeRecords,
  tokenizerFromGguf,
} from '@lowrank/models';
import { expect, it } from 'vitest';
import arrays from './backend.ts';

it('trains the embedded model', async () => {
  const backend = await arrays();
  await using file = await openGguf(await embeddedModel());
  const tokenizer = tokenizerFromGguf(file.metadata);
  const model = await loadCausalLm(file, backend);
  const record = { prompt: 'A:', completion: ' Anna, Adam, Alice' };
  const records = Array.from({ length: 8 }, (_, line) => ({ line, record }));
  const { examples } = await tokenizeRecords(records, { tokenizer });
  const losses: number[] = [];
  const { adapter } = await fineTune({
    model,
    adapter: lora({ rank: 8, targetModules: 'all-linear' }),
    examples,
    steps: 20,
    batchSize: 2,
    learningRate: 1e-2,
    onEvent: (event) => {
      if (event.type === 'step') losses.push(event.loss);
    },
  });
  const [answer] = await generateTexts(model, tokenizer, [tokenizer.encode('A:')], { maxTokens: 20 });
  adapter.eject();
  model.dispose();
  expect(answer?.trim()).toBe('Anna, Adam, Alice');
  expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]!);
  expect(backend.memory().liveBytes).toBe(0);
  await backend.dispose();
});
