/** One layer with LoRA and DoRA against PEFT: output, gradients, merged weight. */
import { dora } from '@lowrank/adapter-dora';
import { lora } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { reference, roundingBackend, type RoundingBackend } from '@lowrank/conformance';
import {
  add,
  backward,
  Embedding,
  FrozenWeight,
  linear,
  mul,
  noGrad,
  sum,
  tensor,
  writeHost,
  type AdapterContext,
  type Backend,
  type Linear,
  type Tensor,
  type WrappedLowRank,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, floatsOf, tensorOf, under, type FixtureTensors } from './support/fixtures.ts';

interface Variant {
  readonly use_dora?: boolean;
  readonly use_rslora?: boolean;
  readonly embedding?: boolean;
  readonly dropout?: number;
}

const { rank, alpha, variants } = fixtureJson('layers') as {
  rank: number;
  alpha: number;
  variants: Record<string, Variant>;
};
const fixtures = fixtureTensors('layers');

/** A layer as the fixture has it, with the adapter on it. */
async function wrapped(backend: Backend, given: FixtureTensors, variant: Variant): Promise<WrappedLowRank> {
  const { shape } = tensorOf(given, 'weight');
  const weight = { format: 'f32', shape, data: floatsOf(given, 'weight') } as const;
  const layer: Linear | Embedding =
    variant.embedding === true
      ? new Embedding(new FrozenWeight(backend, weight))
      : linear(backend, weight, given.has('bias') ? floatsOf(given, 'bias') : undefined);
  const options = { rank, alpha, dropout: variant.dropout ?? 0, useRslora: variant.use_rslora === true };
  const made = variant.use_dora === true ? await dora.wrap(layer, options) : await lora.wrap(layer, options);
  for (const [name, param] of made.parameters()) {
    writeHost(param, { format: 'f32', shape: param.shape, data: floatsOf(given, name) }, name);
  }
  return made;
}

/** y, with the fixture's own mask where it drops. */
function forward(layer: WrappedLowRank, x: Tensor, given: FixtureTensors, { dropout = 0 }: Variant): Tensor {
  if (dropout === 0) return layer.forward(x);
  const { site, state, configured } = layer.adapter.slots[0]!;
  const base = layer.layer.frozenLayer(site);
  const product = base.product(x);
  const y0 = base.bias === undefined ? product : add(product, base.bias);
  const mask = tensor(
    x.backend,
    Float64Array.from(floatsOf(given, 'mask'), (kept) => kept / (1 - dropout)),
    x.shape,
  );
  const context: AdapterContext = {
    training: true,
    dropout: (input) => mul(input, mask),
    shared: (_, make) => make(),
    memo: (_, make) => noGrad(make),
  };
  return add(y0, configured.adapter.delta(x, y0, base, state, configured.config, context));
}

/** Output and gradients by the names in the fixture. */
async function run(
  backend: Backend,
  name: string,
): Promise<{ results: Map<string, Tensor>; merged: ArrayLike<number> }> {
  const [given, variant] = [under(fixtures, name), variants[name]!];
  const layer = await wrapped(backend, given, variant);
  const input = tensorOf(given, variant.embedding === true ? 'ids' : 'x');
  const ids = input.data instanceof Int32Array;
  const x = tensor(backend, input.data as Float32Array | Int32Array, input.shape);
  if (!ids) x.requiresGrad = true;
  const y = forward(layer, x, given, variant);
  backward(sum(mul(y, tensor(backend, floatsOf(given, 'dy'), y.shape))));
  const results = new Map([['y', y.detach()]]);
  for (const [param, { grad }] of layer.parameters()) results.set(`d${param}`, grad!);
  if (!ids) results.set('dx', x.grad!);
  const merged = await layer.adapter.mergedWeight(layer.site.path);
  return { results, merged: await merged.values() };
}

const names = Object.keys(variants);

/** The largest magnitude: what rounding errors are relative to. */
const largest = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => Math.max(a, Math.abs(b)), 0);

describe.each(names)('%s', (name) => {
  const expected = under(under(fixtures, name), 'f64');
  const dora64 = variants[name]!.use_dora === true;

  it('in float64 gives what PEFT gives in float64', async () => {
    const { results } = await run(await reference(), name);
    expect([...results.keys()].toSorted()).toEqual([...expected.keys()].filter((key) => key !== 'merged').toSorted());
    for (const [what, result] of results) {
      const [found, right] = [await result.data(), tensorOf(expected, what).data];
      const scale = largest(right);
      // Sums of some 60 products, in another order; DoRA keeps ||W|| rounded to float32, half a unit off.
      const bound = scale * (dora64 ? 2 ** -22 : 2 ** -45);
      found.forEach((value, i) => expect(Math.abs(value - right[i]!), `${what}[${i}]`).toBeLessThanOrEqual(bound));
    }
  });

  it('on the CPU gives it within the rounding of float32', async () => {
    // Running error analysis gives the bound of each number.
    const rounding: RoundingBackend = roundingBackend(2 ** -24);
    const analysed = await run(rounding, name);
    await using backend = Object.assign(await cpu(), {
      async [Symbol.asyncDispose](this: Backend) {
        await this.dispose();
      },
    });
    const { results } = await run(backend, name);
    for (const [what, result] of results) {
      const [found, right] = [await result.data(), tensorOf(expected, what).data];
      const bounds = rounding.errorOf(analysed.results.get(what)!.storage);
      // Beside it the half unit of DoRA's ||W||, twice: in the analysis and here.
      const slack = dora64 ? 2 ** -22 * largest(right) : 2 ** -40;
      found.forEach((value, i) =>
        expect(Math.abs(value - right[i]!), `${what}[${i}]`).toBeLessThanOrEqual(bounds[i]! + slack),
      );
    }
  });

  it('merged is the weight that PEFT merges', async () => {
    const { merged } = await run(await reference(), name);
    const right = tensorOf(expected, 'merged').data;
    // Ours is rounded to float32 once; DoRA's norm as above.
    const bound = largest(right) * (dora64 ? 2 ** -22 : 2 ** -24);
    expect(merged).toHaveLength(right.length);
    Array.from(merged).forEach((value, i) => expect(Math.abs(value - right[i]!), `[${i}]`).toBeLessThanOrEqual(bound));
  });
});
