/** One step of a real model's first two layers, quantized as they are in the file, on every backend. */
import { lora } from '@lowrank/adapter-lora';
import { reference } from '@lowrank/conformance';
import { backward, inject, scope, type Backend } from '@lowrank/core';
import { fileSource, openGguf, writeGguf } from '@lowrank/io-gguf';
import { batchLoss, makeBatch, resolveModel } from '@lowrank/models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backendNames, backends } from '../support/backends.ts';
import { openModel } from '../support/open-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const LAYERS = 2;
const ids = Int32Array.of(1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path: string;
let expected: Step;

beforeAll(async () => {
  folder = await temporaryFolder();
  path = folder.file('cut.gguf');
  await using whole = await openGguf(await fileSource((await resolveModel('smollm2-135m-instruct')).path));
  const kept = [...whole.tensors.values()].filter(({ name }) => {
    const layer = /^blk\.(\d+)\./.exec(name)?.[1];
    return layer === undefined || Number(layer) < LAYERS;
  });
  await writeGguf(path, {
    metadata: new Map([...whole.metadata, ['llama.block_count', { type: 'u32', value: LAYERS }]]),
    tensors: kept.map(({ name, format, shape }) => ({
      name,
      format: format!,
      shape,
      load: () => whole.read(name),
    })),
  });
  expected = await stepOn(await reference({ blockFormats: [] }));
}, 300_000);

afterAll(() => folder[Symbol.asyncDispose]());

interface Step {
  readonly loss: number;
  /** Euclidean norm of each parameter's gradient. */
  readonly gradients: ReadonlyMap<string, number>;
}

async function stepOn(backend: Backend): Promise<Step> {
  await using cut = await openModel(path, backend);
  const adapter = await inject(cut.model, lora({ init: 'orthogonal', targetModules: 'all-linear' }), { seed: 2 });
  const batch = makeBatch([{ ids, trained: new Uint8Array(ids.length).fill(1) }]);
  const loss = scope(() => {
    const sum = batchLoss(cut.model, batch);
    backward(sum);
    return sum;
  });
  const gradients = new Map<string, number>();
  for (const [name, parameter] of adapter.parameters()) {
    gradients.set(name, Math.hypot(...(await parameter.grad!.data())));
  }
  const step = { loss: await loss.item(), gradients };
  adapter.eject();
  loss.dispose();
  await cut[Symbol.asyncDispose]();
  expect(backend.memory().liveBytes).toBe(0);
  await backend.dispose();
  return step;
}

it('the reference has a loss, and a gradient for A and B of every layer', () => {
  expect(expected.loss).toBeGreaterThan(0);
  expect(expected.gradients.size).toBe(LAYERS * 7 * 2);
  for (const norm of expected.gradients.values()) expect(norm).toBeGreaterThan(0);
});

// Chains of at most 1,536 roundings of 2^-24 each (random signs: 40 of them), through two layers and back: of the order of 1e-5.
it.each(backendNames)("%s: loss and gradients are float64's within 1e-4", async (name) => {
  const { loss, gradients } = await stepOn(await backends[name]());
  expect(Math.abs(loss / expected.loss - 1)).toBeLessThan(1e-4);
  for (const [parameter, norm] of expected.gradients) {
    expect(Math.abs(gradients.get(parameter)! / norm - 1), parameter).toBeLessThan(1e-4);
  }
});
