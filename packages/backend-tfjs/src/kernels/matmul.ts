import type { MatmulSpec, Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';
import { expand } from './axes.ts';

export const matmul =
  (device: Device): Primitives['matmul'] =>
  (left, right, spec) => {
    const { batch, m, n, k, transposeA, transposeB, batchA, batchB } = spec;
    return device.output(batch * m * n, () => {
      if (k === 0) return device.filled(0, batch * m * n);
      // One b for all: the batches of a are further rows of one product.
      const joined = batchA && !batchB && !transposeA;
      const [batches, rows] = joined ? [1, batch * m] : [batchA || batchB ? batch : 1, m];
      const a = device.operand(left, [batchA && !joined ? batch : 1, ...(transposeA ? [k, m] : [rows, k])]);
      const b = device.operand(right, [batchB ? batch : 1, ...(transposeB ? [n, k] : [k, n])]);
      const multiply = device.quirks.plainMatmulOnly ? plainProducts : product;
      const y = multiply(device, a, b, { ...spec, batch: batches, m: rows });
      return batchA || batchB || batch === 1 ? y : expand(device, device.reshape(y, [1, m, n]), [batch, m, n]);
    });
  };

function product(device: Device, a: EngineTensor, b: EngineTensor, spec: MatmulSpec): EngineTensor {
  const { transposeA, transposeB, batch } = spec;
  const { maxBatch } = device.quirks;
  if (batch > maxBatch) {
    const parts = Array.from({ length: Math.ceil(batch / maxBatch) }, (_, i) => {
      const [from, count] = [i * maxBatch, Math.min(maxBatch, batch - i * maxBatch)];
      const [partA, partB] = [matrices(device, a, from, count), matrices(device, b, from, count)];
      return device.run('BatchMatMul', { a: partA, b: partB }, { transposeA, transposeB });
    });
    return device.run('Concat', parts, { axis: 0 });
  }
  return device.run('BatchMatMul', { a, b }, { transposeA, transposeB });
}

/** From so many multiplications on, a product of its own for each batch is worth the copies. */
const WORTH_A_COPY = 32 ** 3;

/** Only one plain product of two matrices is fast: transposes are made first, and batches go one by one. */
function plainProducts(device: Device, a: EngineTensor, b: EngineTensor, spec: MatmulSpec): EngineTensor {
  const { batch, m, n, k } = spec;
  if (m * n * k < WORTH_A_COPY) return product(device, a, b, spec);
  const plainA = spec.transposeA ? device.run('Transpose', { x: a }, { perm: [0, 2, 1] }) : a;
  const plainB = spec.transposeB ? device.run('Transpose', { x: b }, { perm: [0, 2, 1] }) : b;
  const plain = { ...spec, transposeA: false, transposeB: false };
  if (batch === 1) return product(device, plainA, plainB, plain);
  const one = { ...plain, batch: 1 };
  const parts = Array.from({ length: batch }, (_, i) =>
    product(device, matrices(device, plainA, i, 1), matrices(device, plainB, i, 1), one),
  );
  return device.run('Concat', parts, { axis: 0 });
}

/** `count` matrices of x, or the only one it has. */
function matrices(device: Device, x: EngineTensor, from: number, count: number): EngineTensor {
  if (x.shape[0] === 1) return x;
  return device.run('Slice', { x }, { begin: [from, 0, 0], size: [count, x.shape[1]!, x.shape[2]!] });
}
