import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likeliest, Sampler, type SamplingOptions } from '../../src/generate/index.ts';
import { Ranking } from '../../src/generate/ranking.ts';

const DRAWS = 20_000;

/** What softmax(logits / temperature) leaves after top-k and then top-p, from their definitions. */
function probabilities(logits: readonly number[], { temperature = 1, topK = 0, topP = 1 }: SamplingOptions): number[] {
  const order = logits.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const candidates = topK === 0 ? order : order.slice(0, topK);
  const weights = new Map(candidates.map((id) => [id, Math.exp(logits[id]! / temperature)]));
  const total = [...weights.values()].reduce((a, b) => a + b, 0);
  const kept: number[] = [];
  let mass = 0;
  for (const id of candidates) {
    if (kept.length > 0 && mass / total >= topP) break;
    kept.push(id);
    mass += weights.get(id)!;
  }
  return logits.map((_, id) => (kept.includes(id) ? weights.get(id)! / mass : 0));
}

const logits = [1.5, -0.5, 2, 0, 2, -3, 1, 0.25];

describe('a sampler', () => {
  it.each<readonly [string, SamplingOptions]>([
    ['temperature 1', { temperature: 1 }],
    ['a low temperature', { temperature: 0.4 }],
    ['a high temperature', { temperature: 5 }],
    ['top-k', { temperature: 1, topK: 3 }],
    ['top-k beyond all tokens', { temperature: 1, topK: 100 }],
    ['top-p', { temperature: 1, topP: 0.7 }],
    ['top-k and top-p', { temperature: 2, topK: 5, topP: 0.6 }],
  ])('draws each token as often as its probability says: %s', (_, options) => {
    const expected = probabilities(logits, options);
    const counts = logits.map(() => 0);
    const sampler = new Sampler({ ...options, seed: 17 }, 0);
    for (let i = 0; i < DRAWS; i++) counts[sampler.pick(logits)]!++;
    for (const [id, p] of expected.entries()) {
      // A count is binomial; Bernstein's inequality bounds its deviation t: 2 exp(-t^2 / (2 n p (1 - p) + 2 t / 3)) = 1e-9.
      const log = Math.log(2e9);
      const bound = p === 0 ? 0 : log / 3 + Math.sqrt((log * log) / 9 + 2 * DRAWS * p * (1 - p) * log);
      expect(Math.abs(counts[id]! - DRAWS * p), `token ${id}`).toBeLessThanOrEqual(bound);
    }
  });

  it.each<readonly [string, SamplingOptions]>([
    ['by default', {}],
    [
      'with options that are undefined',
      { temperature: undefined, topK: undefined, topP: undefined, seed: undefined } as unknown as SamplingOptions,
    ],
    ['at temperature 0', { temperature: 0, topK: 4 }],
    ['with top-k 1', { temperature: 3, topK: 1 }],
    ['with a tiny top-p', { temperature: 3, topP: 1e-9 }],
    ['at a temperature near 0, but for equals', { temperature: 1e-300, topK: 1 }],
  ])('takes the likeliest, of equals the first, %s', (_, options) => {
    const sampler = new Sampler(options, 0);
    for (let i = 0; i < 20; i++) expect(sampler.pick(logits)).toBe(2);
  });

  it('draws by seed and sequence alone', () => {
    const draw = (seed: number, sequence: number): number[] => {
      const sampler = new Sampler({ temperature: 1, seed }, sequence);
      return Array.from({ length: 50 }, () => sampler.pick(logits));
    };
    expect(draw(1, 0)).toEqual(draw(1, 0));
    expect(draw(1, 0)).not.toEqual(draw(2, 0));
    expect(draw(1, 0)).not.toEqual(draw(1, 1));
  });

  it('picks only tokens that top-k and top-p leave, whatever the logits', () => {
    const anyLogits = fc.array(fc.oneof(fc.double({ min: -80, max: 80, noNaN: true }), fc.constant(-Infinity)), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(
        anyLogits,
        fc.integer({ min: 0, max: 40 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(),
        (values, topK, topP, seed) => {
          fc.pre(values.some((value) => value > -Infinity));
          const picked = new Sampler({ temperature: 1, topK, topP, seed }, 0).pick(values);
          const above = values.filter((value) => value > values[picked]!).length;
          expect(above).toBeLessThan(topK === 0 ? values.length : topK);
          // Those likelier than the pick do not reach top-p by themselves.
          const most = Math.max(...values);
          const weights = values.map((value) => Math.exp(value - most));
          const total = weights.reduce((a, b) => a + b, 0);
          const ahead = weights.reduce((sum, weight, id) => sum + (values[id]! > values[picked]! ? weight : 0), 0);
          expect(topK === 0 ? ahead / total : 0).toBeLessThan(topP + 1e-12);
          expect(values[picked]).toBeGreaterThan(-Infinity);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });
});

it('a ranking gives ids by falling value, equals by id', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(-Infinity))), (values) => {
      const ranking = new Ranking(values);
      const ids = values.map(() => ranking.next());
      expect(ids).toEqual(
        values.map((_, id) => id).sort((a, b) => (values[a] === values[b] ? a - b : values[b]! > values[a]! ? 1 : -1)),
      );
      expect(ranking.next()).toBe(-1);
    }),
    { seed: 1 },
  );
});

it('likeliest gives the greatest logit, of equals the first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1 }), (values) => {
      expect(likeliest(values)).toBe(values.indexOf(Math.max(...values)));
    }),
    { seed: 1 },
  );
});
