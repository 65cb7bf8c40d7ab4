/** What core computes on the host is the same bytes whatever computes the rest. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { dora } from '@lowrank/adapter-dora';
import { lora } from '@lowrank/adapter-lora';
import { qlora } from '@lowrank/adapter-qlora';
import {
  dropout,
  fromStorage,
  inject,
  scope,
  seedKey,
  type Backend,
  type ConfiguredAdapter,
  type FrozenWeight,
  type HostArray,
} from '@lowrank/core';
import { fineTune, readJsonLines, resolveModel, tokenizeRecords, writeAdapterGguf } from '@lowrank/models';
import { beforeAll, describe, expect, it } from 'vitest';
import { backendNames, backends, type BackendName } from '../support/backends.ts';
import { openModel } from '../support/open-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const data = fileURLToPath(new URL('../../examples/names/train.jsonl', import.meta.url));

const adapters: Readonly<Record<string, ConfiguredAdapter>> = {
  LoRA: lora({ targetModules: 'all-linear' }),
  'LoRA, PiSSA': lora({ rank: 3, init: 'pissa' }),
  'LoRA, orthogonal': lora({ rank: 4, init: 'orthogonal' }),
  'DoRA, gaussian': dora({ init: 'gaussian' }),
  'QLoRA, NF4': qlora({ adapter: lora() }),
  'QDoRA, FP4': qlora({ adapter: dora(), format: 'fp4', blockSize: 32 }),
};

interface Facts {
  /** Of each adapter: its tensors' names and digests, and the base's where it brings one. */
  readonly starts: Readonly<Record<string, readonly string[]>>;
  /** Which of 6 x 50 ones dropout keeps, and what it makes of them. */
  readonly mask: readonly number[];
  /** Rows that each batch of two epochs held. */
  readonly tokens: readonly number[];
  /** The adapter file up to its tensors' data, and that file's length. */
  readonly header: Uint8Array;
  readonly length: number;
}

const digest = ({ data: { buffer, byteOffset, byteLength } }: HostArray): string =>
  createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');

async function factsOf(name: BackendName): Promise<Facts> {
  const backend: Backend = await backends[name]();
  await using folder = await temporaryFolder();
  await using names = await openModel((await resolveModel('names')).path, backend);
  const { model, tokenizer } = names;

  const starts: Record<string, string[]> = {};
  for (const [title, adapter] of Object.entries(adapters)) {
    const injected = await inject(model, adapter, { seed: 5 });
    const found: string[] = [];
    for (const [path, { params, buffers }] of await injected.hostStates()) {
      for (const [part, array] of Object.entries({ ...params, ...buffers })) {
        found.push(`${path}.${part} ${digest(array)}`);
      }
    }
    const { weight } = [...model.modules()].find(
      ([path]) => path === 'model.layers.0.self_attn.q_proj',
    )![1] as unknown as {
      weight: FrozenWeight;
    };
    found.push(`base ${digest(await weight.host())}`);
    starts[title] = found;
    injected.eject();
  }

  const ones = fromStorage(backend, backend.kernels.fill(1, 300, 'f32'), [6, 50], 'f32');
  const masked = scope(() => dropout(ones, { probability: 0.3, key: seedKey(9), stream: [4, 2] }));
  const mask = Array.from(await masked.data());
  masked.dispose();
  ones.dispose();

  const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer });
  const tokens: number[] = [];
  const { adapter } = await fineTune({
    model,
    adapter: adapters['LoRA']!,
    examples: examples.slice(0, 12),
    epochs: 2,
    batchSize: 4,
    seed: 3,
    onEvent: (event) => void (event.type === 'step' && tokens.push(event.tokens)),
  });
  const path = folder.file('adapter.gguf');
  await writeAdapterGguf(path, model, adapter);
  const file = await readFile(path);
  const weights = Array.from(adapter.parameters().values(), ({ size }) => Math.ceil((size * 4) / 32) * 32);
  const length = file.length;
  const header = new Uint8Array(file.subarray(0, length - weights.reduce((sum, size) => sum + size, 0)));
  adapter.eject();
  await names[Symbol.asyncDispose]();
  await backend.dispose();
  return { starts, mask, tokens, header, length };
}

const all = {} as Record<BackendName, Facts>;
beforeAll(async () => {
  for (const name of backendNames) all[name] = await factsOf(name);
}, 600_000);

describe.each(backendNames.filter((name) => name !== 'cpu:native'))('%s has the same as cpu:native:', (name) => {
  it.each(Object.keys(adapters))('initial weights and quantization codes of %s', (title) => {
    expect(all[name].starts[title]).toEqual(all['cpu:native'].starts[title]);
  });

  it('dropout masks', () => {
    expect(all[name].mask).toEqual(all['cpu:native'].mask);
  });

  it('batches', () => {
    expect(all[name].tokens).toEqual(all['cpu:native'].tokens);
  });

  it("the header of an adapter's file, and its length", () => {
    expect(Buffer.compare(all[name].header, all['cpu:native'].header)).toBe(0);
    expect(all[name].length).toBe(all['cpu:native'].length);
  });
});

it('dropout drops about as many as it should: the test above is of something', () => {
  const { mask } = all['cpu:native'];
  const kept = mask.filter((value) => value !== 0);
  // Binomial, n = 300, p = 0.7: five standard deviations of 7.9.
  expect(Math.abs(kept.length - 210)).toBeLessThan(40);
  expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.7)]));
});
