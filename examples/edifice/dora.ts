import { dora } from '@lowrank/adapter-dora';
import { linear, RandomStream, scope, tensor, type Backend } from '@lowrank/core';
import { largestDifference } from './largest-difference.ts';

/** Edifice.Meta.DoRA, function by function. */
export async function* doraWalk(backend: Backend): AsyncGenerator<string> {
  const random = new RandomStream(0, 'edifice/dora');
  using x = tensor(backend, random.normal(4 * 768), [4, 768]);
  const values = random.normal(512 * 768, 0.05);
  const layer = linear(backend, { values, shape: [512, 768] });
  using base = scope(() => layer.forward(x));

  // Edifice: DoRA.recommended_defaults()
  const { rank, alpha } = dora.recommendedDefaults;
  yield `DoRA.recommended_defaults  rank ${rank}, alpha ${alpha}`;

  // Edifice: DoRA.build(input_size: 768, output_size: 512, rank: 8), over a random base weight of its own.
  // Here the weight is given: DoRA decomposes one that was trained.
  const built = await dora.build(backend, { weight: { values, shape: [512, 768] }, rank, alpha });
  yield `DoRA.build                 parameters: ${Array.from(built.parameters(), ([name, { shape }]) => `${name} [${shape.join(', ')}]`).join(', ')}`;

  // Edifice: DoRA.output_size(output_size: 512)
  yield `DoRA.output_size           ${built.outFeatures}`;

  // Edifice: DoRA.wrap(input, original, output_size: 512, rank: 8, name: "dora_attn")
  // Edifice's magnitude starts at 1 and it normalizes each sample's output, so its layer does not start where the
  // original was. The paper's (section 4) normalizes the weight, with the magnitude starting at its row norms.
  const wrapped = await dora.wrap(layer, { rank, alpha, name: 'dora_attn' });
  using start = scope(() => wrapped.forward(x));
  yield `DoRA.wrap                  starts at the layer's own output, to the bit: ${(await largestDifference(start, base)) === 0}`;

  // Edifice: DoRA.dora_layer(input, 768, 512, rank: 8), inside an architecture: what DoRA adds to the layer's output.
  using delta = scope(() => wrapped.delta(x));
  yield `DoRA.dora_layer            adds [${delta.shape.join(', ')}], zero before training: ${(await delta.data()).every((value) => value === 0)}`;

  wrapped.eject();
  layer.dispose();
  built.dispose();
}
