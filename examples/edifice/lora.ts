import { lora } from '@lowrank/adapter-lora';
import { freeze, linear, parameterCounts, RandomStream, scope, tensor, type Backend } from '@lowrank/core';
import { largestDifference } from './largest-difference.ts';

/** Edifice.Meta.LoRA, function by function. */
export async function* loraWalk(backend: Backend): AsyncGenerator<string> {
  const random = new RandomStream(0, 'edifice/lora');
  using x = tensor(backend, random.normal(4 * 768), [4, 768]);

  // Edifice: lora = LoRA.build(input_size: 768, output_size: 768, rank: 8, alpha: 16.0)
  const built = await lora.build(backend, { inFeatures: 768, outFeatures: 768, rank: 8, alpha: 16 });
  using delta = scope(() => built.delta(x));
  yield `LoRA.build        [4, 768] to [${delta.shape.join(', ')}], ${count(built.parameters())} parameters, all zero before training: ${(await delta.data()).every((value) => value === 0)}`;

  // Edifice: LoRA.output_size(output_size: 768)
  yield `LoRA.output_size  ${built.outFeatures}`;

  // Edifice: LoRA.lora_delta(input, 768, rank: 8, alpha: 16.0), the low-rank part alone, on tensors of one's own.
  using A = tensor(backend, random.normal(8 * 768, 0.02), [8, 768]);
  using B = tensor(backend, random.normal(768 * 8, 0.02), [768, 8]);
  using own = scope(() => lora.delta(x, { A, B, scale: 16 / 8 }));
  yield `LoRA.lora_delta   (alpha / rank) B (A x), [${own.shape.join(', ')}]`;

  // Edifice: LoRA.wrap(input, Axon.dense(input, 512, name: "layer"), rank: 8, alpha: 16.0, output_size: 512)
  // Without :output_size, Edifice's wrap has no B: it adds one mean, broadcast. Here the sizes come from the layer.
  const layer = linear(backend, { values: random.normal(512 * 768, 0.05), shape: [512, 768] });
  using base = scope(() => layer.forward(x));
  const wrapped = await lora.wrap(layer, { rank: 8, alpha: 16, name: 'lora_layer' });
  using start = scope(() => wrapped.forward(x));
  yield `LoRA.wrap         ${wrapped.inFeatures} to ${wrapped.outFeatures} by itself; starts at the layer's own output: ${(await largestDifference(start, base)) === 0}`;

  // What Edifice leaves to Axon: freezing, and counting what is trained.
  freeze(layer);
  const { trainable, total } = parameterCounts(layer);
  yield `  counted         ${trainable} of ${total} parameters are trained`;

  // What Edifice does not have: the layer that alone does the same, and the way back.
  wrapped.adapter.load(
    new Map([
      [
        wrapped.site.path,
        {
          params: {
            A: { format: 'f32', shape: [8, 768], data: random.normal(8 * 768, 0.02) },
            B: { format: 'f32', shape: [512, 8], data: random.normal(512 * 8, 0.02) },
          },
          buffers: {},
        },
      ],
    ]),
  );
  using live = scope(() => wrapped.forward(x));
  await wrapped.merge();
  using merged = scope(() => wrapped.forward(x));
  yield `  merged          differs from the live layer by at most ${(await largestDifference(merged, live)).toExponential(0)}`;
  wrapped.eject();
  using after = scope(() => layer.forward(x));
  yield `  ejected         the layer as it was, to the bit: ${(await largestDifference(after, base)) === 0}`;
  layer.dispose();
  built.dispose();
}

function count(parameters: ReadonlyMap<string, { readonly size: number }>): number {
  return Array.from(parameters.values(), ({ size }) => size).reduce((sum, size) => sum + size, 0);
}
