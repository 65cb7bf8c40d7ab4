/** What one backend has learned, every other one says as well. */
import { fileURLToPath } from 'node:url';
import { lora, loraAdapter } from '@lowrank/adapter-lora';
import type { Backend } from '@lowrank/core';
import {
  fineTune,
  generateTexts,
  loadAdapter,
  readJsonLines,
  resolveModel,
  tokenizeRecords,
  writeAdapterGguf,
} from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backendNames, backends, type BackendName } from '../support/backends.ts';
import { openModel, type OpenModel } from '../support/open-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const data = fileURLToPath(new URL('../../examples/names/train.jsonl', import.meta.url));
const prompts = ['A:', 'J:', 'S:', 'W:'];
const adapter = lora({ rank: 4, alpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] });

interface Opened {
  readonly backend: Backend;
  readonly names: OpenModel;
}

/** Greedy, so that the logits alone decide. */
async function say({ names }: Opened): Promise<string[]> {
  const ids = prompts.map((prompt) => names.tokenizer.encode(prompt, { addSpecial: false, parseSpecial: false }));
  return generateTexts(names.model, names.tokenizer, ids, { maxTokens: 8, temperature: 0 });
}

describe('trained on one backend, an adapter says the same on every other', () => {
  const open = {} as Record<BackendName, Opened>;
  const said = {} as Record<BackendName, string[]>;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const fileOf = (name: BackendName): string => folder.file(`${name.replace(':', '-')}.gguf`);

  beforeAll(async () => {
    folder = await temporaryFolder();
    const { path } = await resolveModel('names');
    for (const name of backendNames) {
      const backend: Backend = await backends[name]();
      open[name] = { backend, names: await openModel(path, backend) };
    }
  });

  afterAll(async () => {
    for (const { backend, names } of Object.values(open)) {
      await names[Symbol.asyncDispose]();
      await backend.dispose();
    }
    await folder[Symbol.asyncDispose]();
  });

  it.each(backendNames)('%s trains and saves', async (name) => {
    const { model, tokenizer } = open[name].names;
    const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer });
    const before = await say(open[name]);
    // A seed of its own, so that each adapter is another.
    const seed = backendNames.indexOf(name);
    const run = await fineTune({ model, adapter, examples, steps: 6, batchSize: 4, learningRate: 2e-2, seed });
    said[name] = await say(open[name]);
    expect(said[name]).not.toEqual(before);
    await writeAdapterGguf(fileOf(name), model, run.adapter);
    run.adapter.eject();
  });

  it('each learned something of its own', () => {
    expect(new Set(Object.values(said).map((texts) => texts.join('|'))).size).toBe(backendNames.length);
  });

  it.each(backendNames)('%s loads them all, and says what those said who trained them', async (name) => {
    for (const trainer of backendNames) {
      const loaded = await loadAdapter(fileOf(trainer), open[name].names.model, [loraAdapter]);
      expect(await say(open[name]), `trained on ${trainer}`).toEqual(said[trainer]);
      loaded.eject();
    }
  });
});
