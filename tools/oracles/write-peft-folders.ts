/**
 * Writes PEFT folders of adapters trained here on the small Llama, and the logits they give, for load_in_peft.py:
 *
 *   node --conditions=@lowrank/source tools/oracles/write-peft-folders.ts FOLDER
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dora } from '@lowrank/adapter-dora';
import { lora } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { gather, noGrad, scope, tensor, type ConfiguredAdapter } from '@lowrank/core';
import {
  adapterFromModel,
  fineTune,
  loadCausalLm,
  openHfFolder,
  sequenceBatch,
  writePeftFolder,
  type CausalLm,
} from '@lowrank/models';

const out = process.argv[2];
if (out === undefined) throw new Error('give a folder to write to');

const adapters: Record<string, ConfiguredAdapter> = {
  lora: lora({ rank: 4, alpha: 8, targetModules: 'all-linear' }),
  rslora: lora({ rank: 4, alpha: 4, useRslora: true, targetModules: ['q_proj', 'v_proj'] }),
  dora: dora({ rank: 4, alpha: 8, targetModules: 'all-linear' }),
  patterns: lora({
    rank: 4,
    alpha: 8,
    targetModules: ['q_proj', 'v_proj', 'down_proj'],
    rankPattern: { down_proj: 6 },
    alphaPattern: { 'layers.1.self_attn.q_proj': 3 },
  }),
  embeddings: lora({ rank: 4, alpha: 8, targetModules: ['embed_tokens', 'lm_head', 'q_proj'] }),
  'dora-embeddings': dora({ rank: 4, alpha: 8, targetModules: ['embed_tokens', 'v_proj'] }),
  'modules-to-save': lora({ rank: 4, alpha: 8, targetModules: ['q_proj'], modulesToSave: ['lm_head'] }),
  orthogonal: lora({ rank: 4, alpha: 8, targetModules: ['q_proj', 'up_proj'], init: 'orthogonal' }),
  pissa: lora({ rank: 4, alpha: 8, targetModules: ['q_proj', 'up_proj'], init: 'pissa' }),
  olora: lora({ rank: 4, alpha: 8, useRslora: true, targetModules: ['q_proj', 'up_proj'], init: 'olora' }),
};

const backend = await cpu();
await using base = await openHfFolder(fileURLToPath(new URL('../../e2e/oracles/fixtures/base', import.meta.url)));
const model = await loadCausalLm(base, backend);
const tokens = [
  [3, 14, 159, 26, 53, 58],
  [97, 93, 238, 46, 26, 43],
];
const examples = [tokens[0]!, tokens[1]!.toReversed()].map((ids) => ({
  ids: Int32Array.from(ids),
  trained: new Uint8Array(ids.length).fill(1),
}));
const logits: Record<string, number[]> = {};
for (const [name, configured] of Object.entries(adapters)) {
  const { adapter } = await fineTune({ model, adapter: configured, examples, steps: 8, learningRate: 2e-2, warmup: 0 });
  await writePeftFolder(join(out, name), model, await adapterFromModel(model, adapter));
  logits[name] = await logitsOf(model);
  adapter.eject();
}
await writeFile(join(out, 'logits.json'), JSON.stringify({ tokens, logits }));
await backend.dispose();

async function logitsOf(lm: CausalLm): Promise<number[]> {
  const count = tokens.flat().length;
  const rows = tensor(
    backend,
    Int32Array.from({ length: count }, (_, i) => i),
    [count],
  );
  const batch = sequenceBatch(tokens.map((ids) => Int32Array.from(ids)));
  const found = scope(() => noGrad(() => lm.logits(gather(lm.hidden(batch), rows))));
  return Array.from(await found.data());
}
