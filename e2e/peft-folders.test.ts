/** Folders that PEFT saved, on a model that transformers saved: the logits are PEFT's. See tools/oracles/folders.py. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { gather, noGrad, scope, tensor, type Adapter, type Backend } from '@lowrank/core';
import { fileSource, openSafetensors, type SafetensorsFile } from '@lowrank/io-safetensors';
import {
  adapterFromModel,
  loadAdapter,
  loadCausalLm,
  openHfFolder,
  sequenceBatch,
  writeAdapter,
  writePeftFolder,
  type CausalLm,
} from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const fixtures = fileURLToPath(new URL('oracles/fixtures/', import.meta.url));
const plugins = [loraAdapter, doraAdapter] as unknown as Adapter[];

let backend: Backend;
let model: CausalLm;
let oracle: SafetensorsFile;
let scratch: string;

beforeAll(async () => {
  backend = await cpu({ engine: 'native', threads: 1 });
  await using folder = await openHfFolder(join(fixtures, 'base'));
  model = await loadCausalLm(folder, backend);
  oracle = await openSafetensors(await fileSource(join(fixtures, 'folders.safetensors')));
  scratch = await mkdtemp(join(tmpdir(), 'lowrank-peft-'));
});
afterAll(async () => {
  await rm(scratch, { recursive: true });
  await oracle.close();
  model.dispose();
  await backend.dispose();
});

async function logits(): Promise<Float64Array> {
  const { data, shape } = await oracle.read('tokens');
  const length = shape[1]!;
  const batch = sequenceBatch([(data as Int32Array).slice(0, length), (data as Int32Array).slice(length)]);
  const rows = tensor(
    backend,
    Int32Array.from({ length: data.length }, (_, i) => i),
    [data.length],
  );
  const found = scope(() => noGrad(() => model.logits(gather(model.hidden(batch), rows))));
  rows.dispose();
  const values = Float64Array.from(await found.data());
  found.dispose();
  return values;
}

/** The largest difference, in parts of the largest logit. */
function difference(found: Float64Array, expected: ArrayLike<number>): number {
  let [worst, largest] = [0, 0];
  found.forEach((value, i) => {
    worst = Math.max(worst, Math.abs(value - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  });
  expect(found.length).toBe(expected.length);
  return worst / largest;
}

/**
 * PEFT's logits are float64's; here sums of up to 112 products in float32 go through two layers, each with an error of some
 * units of 2^-24 that the norms and the residual stream carry on: 100 of them stay below this.
 */
const rounding = 100 * 2 ** -24;

it("the base's logits are those of transformers", async () => {
  expect(difference(await logits(), (await oracle.read('base.logits')).data)).toBeLessThan(rounding);
});

describe.each(await readdir(join(fixtures, 'folders')))('%s', (name) => {
  const path = join(fixtures, 'folders', name);

  it("gives PEFT's logits, written anew as well", async () => {
    const expected = (await oracle.read(`${name}.logits`)).data;
    const injected = await loadAdapter(path, model, plugins, { checkFinite: true });
    const found = await logits();
    expect(difference(found, expected)).toBeLessThan(rounding);
    const base = (await oracle.read('base.logits')).data;
    expect(difference(found, base)).toBeGreaterThan(0.01);
    const again = join(scratch, name);
    await writePeftFolder(again, model, await adapterFromModel(model, injected));
    injected.eject();
    const loaded = await loadAdapter(again, model, plugins);
    expect(await logits()).toEqual(found);
    loaded.eject();
  });

  it('goes through a GGUF adapter, or is refused with the way out', async () => {
    const injected = await loadAdapter(path, model, plugins);
    const found = await logits();
    const host = await adapterFromModel(model, injected);
    injected.eject();
    const file = join(scratch, `${name}.gguf`);
    const outcome = await writeAdapter(file, model, host).catch((error: unknown) => error as Error);
    const hasForm = !name.startsWith('dora') && name !== 'modules-to-save';
    const loaded = typeof outcome === 'number' ? await loadAdapter(file, model, plugins) : undefined;
    expect(typeof outcome).toBe(hasForm ? 'number' : 'object');
    expect(typeof outcome === 'number' ? 'merge it' : outcome.message).toMatch(/merge/);
    // Scales are folded into B and rounded once.
    expect(loaded === undefined ? 0 : difference(await logits(), found)).toBeLessThan(rounding);
    loaded?.eject();
  });
});

it('the weights of a folder written anew are the bytes that the safetensors library wrote', async () => {
  for (const name of ['lora', 'dora', 'patterns', 'modules-to-save']) {
    const file = 'adapter_model.safetensors';
    const [again, first] = await Promise.all([
      readFile(join(scratch, name, file)),
      readFile(join(fixtures, 'folders', name, file)),
    ]);
    expect(again.equals(first), name).toBe(true);
  }
});
