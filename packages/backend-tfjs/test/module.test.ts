/** tfjs-node, loaded by the application and given to us. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import util from 'node:util';
import { tfjs } from '@lowrank/backend-tfjs';
import { expect, it } from 'vitest';
import { path } from './engines.ts';

interface TfjsNode {
  memory(): { numTensors: number };
  tensor1d(values: number[]): { dataSync(): Float32Array; dispose(): void };
  findBackend(name: string): { binding: { getNumOfTensors(): number } };
  getBackend(): string;
}

it('serves as the module, and its tensors are not ours', async () => {
  // Node 23 and later lack two functions that it calls.
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value == null, isArray: Array.isArray });
  const module = createRequire(join(path, 'package.json'))('@tensorflow/tfjs-node') as TfjsNode;
  const own = module.tensor1d([1, 2, 3]);
  const before = module.memory();
  const { binding } = module.findBackend('tensorflow');
  const tensors = binding.getNumOfTensors();

  const backend = await tfjs({ engine: 'node', module });
  const x = backend.upload(Float32Array.of(1, 4, 9, 16), 'f32');
  const roots = backend.kernels.unary('sqrt', x, 4);
  const sums = backend.kernels.reduce('sum', roots, 2, 2, 1);
  expect(await backend.read(sums)).toEqual(Float32Array.of(3, 7));
  expect(binding.getNumOfTensors()).toBe(tensors + 3);
  expect(module.memory()).toEqual(before);
  expect(module.getBackend()).toBe('tensorflow');

  await backend.dispose();
  expect(binding.getNumOfTensors()).toBe(tensors);
  expect(own.dataSync()).toEqual(Float32Array.of(1, 2, 3));
  own.dispose();
});
