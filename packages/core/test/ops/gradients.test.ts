import { describe, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { operationCases } from './cases.ts';

for (const { name: way, make } of bothWays) {
  describe(`gradients, ${way}, against central differences`, () => {
    for (const { name, inputs, f } of operationCases) {
      test(name, async () => {
        const backend = await make();
        await checkGradients(backend, inputs, f(backend));
      });
    }
  });
}
