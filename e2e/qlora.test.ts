/** QLoRA and QDoRA: LoftQ, a whole model, its memory, its files. The adapters' own suite over a base in 4 bits: backends/qlora.test.ts. */
import { fileURLToPath } from 'node:url';
import { dora } from '@lowrank/adapter-dora';
import { lora, loraAdapter } from '@lowrank/adapter-lora';
import { qlora, qloraAdapter } from '@lowrank/adapter-qlora';
import { cpu } from '@lowrank/backend-cpu';
import { adapterConformance, adapterSummary, reference } from '@lowrank/conformance';
import {
  backward,
  decodeArray,
  keep,
  linear,
  mul,
  quantize4bit,
  RandomStream,
  scope,
  sum,
  tensor,
  wrapLayer,
  type Adapter,
  type Backend,
  type ConfiguredAdapter,
  type FrozenWeight,
} from '@lowrank/core';
import { fineTune, generateTexts, readJsonLines, resolveModel, tokenizeRecords } from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel, type OpenModel } from './support/open-model.ts';

describe('LoftQ over lora', () => {
  const loftq = { init: 'loftq', blockSize: 32 } as const;
  adapterConformance(
    { describe, it },
    {
      adapter: qloraAdapter(loraAdapter as unknown as Adapter, loftq),
      configs: { 'rank 4, alpha 12': { config: { rank: 4, alpha: 12 }, start: 'different' } },
      badConfigs: [
        [{ quantization: { init: 'pissa' } }, 'quantization.init'],
        [{ quantization: { loftqIterations: 0 } }, 'quantization.loftqIterations'],
      ],
      backends: { reference: () => reference(), 'cpu, native': () => cpu({ engine: 'native', threads: 2 }) },
      onReport: (report) => console.log(adapterSummary(report)),
    },
  );

  const shape = [96, 160] as const;
  const values = new RandomStream(1, 'loftq').normal(96 * 160, 0.02);
  const distance = (other: Float32Array) => Math.hypot(...values.map((value, i) => value - other[i]!));

  /** How far base and adapter are from the weight at the start. */
  async function startOf(adapter: ConfiguredAdapter): Promise<number> {
    const backend = await reference();
    const layer = linear(backend, { values, shape });
    const injected = await wrapLayer(layer, adapter);
    return distance(await (await injected.mergedWeight('default')).values());
  }

  it('starts nearer to the weight than the quantized weight is, and nearer with more rank and rounds', async () => {
    const bare = distance(decodeArray(quantize4bit(values, shape)));
    const at = (rank: number, loftqIterations: number, alpha = 8) =>
      startOf(qlora({ adapter: lora({ rank, alpha }), init: 'loftq', loftqIterations }));
    expect(await startOf(qlora({ adapter: lora() }))).toBeCloseTo(bare, 6);
    const [four, sixteen, rounds, scaled] = [await at(4, 1), await at(16, 1), await at(16, 5), await at(16, 1, 64)];
    expect(four).toBeLessThan(bare);
    expect(sixteen).toBeLessThan(four);
    expect(rounds).toBeLessThan(sixteen);
    // The scale is in A and B.
    expect(scaled).toBeCloseTo(sixteen, 6);
    // The best that rank 16 can do (Eckart & Young 1936) is what the truncated SVD does.
    expect(sixteen).toBeLessThan(0.87 * bare);
  });

  it('is refused over DoRA', async () => {
    await expect(startOf(qlora({ adapter: dora(), init: 'loftq' }))).rejects.toMatchObject({
      code: 'ADAPTER_UNSUPPORTED',
    });
  });

  it('with PiSSA inside quantizes what PiSSA leaves, which is nearer to the weight as well', async () => {
    const bare = distance(decodeArray(quantize4bit(values, shape)));
    expect(await startOf(qlora({ adapter: lora({ rank: 16, init: 'pissa' }) }))).toBeLessThan(bare);
  });
});

const options = { rank: 4, alpha: 8, targetModules: 'all-linear' } as const;
const ways: Record<string, ConfiguredAdapter> = {
  QLoRA: qlora({ adapter: lora(options) }),
  QDoRA: qlora({ adapter: dora(options) }),
};

describe.each(Object.entries(ways))('%s on the embedded model', (_, adapter) => {
  let backend: Backend;
  let names: OpenModel;

  beforeAll(async () => {
    backend = await cpu({ threads: 2 });
    names = await openModel((await resolveModel('names')).path, backend);
  });

  afterAll(async () => {
    await names[Symbol.asyncDispose]();
    await backend.dispose();
  });

  it('learns, says the same live and merged, and comes off without a trace', async () => {
    const { model, tokenizer } = names;
    const data = fileURLToPath(new URL('../examples/names/train.jsonl', import.meta.url));
    const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer });
    const prompts = ['A:', 'M:', 'Z:'].map((text) => tokenizer.encode(text));
    const answers = () => generateTexts(model, tokenizer, prompts, { maxTokens: 16 });
    const base = await answers();
    const losses: number[] = [];
    const { adapter: trained } = await fineTune({
      model,
      adapter,
      examples,
      steps: 40,
      batchSize: 2,
      learningRate: 1e-2,
      seed: 3,
      onEvent: (event) => {
        if (event.type === 'step') losses.push(event.loss);
      },
    });
    expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!);
    const live = await answers();
    expect(live).not.toEqual(base);
    await trained.merge();
    expect(await answers()).toEqual(live);
    trained.eject();
    expect(await answers()).toEqual(base);
  });
});

describe.each(['native', 'wasm', 'wasm-unshared'] as const)('memory on %s', (engine) => {
  const [features, rows] = [4096, 8];
  const [weights, inPlain] = [features ** 2, 4 * features ** 2];

  it.each(['lora', 'dora'] as const)('a step over %s takes the blocks and no decoded copy of them', async (name) => {
    const backend = await cpu({ engine, threads: engine === 'wasm-unshared' ? 1 : 2 });
    const some = new RandomStream(1, 'memory').normal(65_536, 0.02);
    const values = new Float32Array(weights);
    for (let i = 0; i < weights; i += some.length) values.set(some, i);
    const rest = { format: 'nf4', blockSize: 64, doubleQuantization: true } as const;
    const weight = { values, shape: [features, features] } as const;
    const layer = await (name === 'lora'
      ? qlora.build(backend, { weight, adapter: lora({ rank: 4 }), ...rest })
      : qlora.build(backend, { weight, adapter: dora({ rank: 4 }), ...rest }));
    const { byteLength } = (await (layer.layer.weight as FrozenWeight).host()).data;
    expect((8 * byteLength) / weights).toBeCloseTo(4.127, 3);
    const x = keep(tensor(backend, values.subarray(0, rows * features), [rows, features]));
    x.requiresGrad = true;
    scope(() => {
      const y = layer.forward(x);
      backward(sum(mul(y, y)));
    });
    await backend.sync();
    const { peakBytes, reservedBytes } = backend.memory();
    // Beside the blocks: A, B, magnitudes and their gradients, and some matrices of `rows` rows.
    const others = 4 * features * (4 * 4 + 8 + 12 * rows);
    expect(peakBytes).toBeGreaterThan(byteLength);
    expect(peakBytes).toBeLessThan(byteLength + others);
    expect(peakBytes).toBeLessThan(inPlain / 6);
    expect(reservedBytes).toBeLessThan(inPlain);
    await backend.dispose();
  });
});
