import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';

export const gather =
  (device: Device): Primitives['gather'] =>
  (table, rows, columns, indices, count) =>
    device.output(count * columns, () =>
      device.run(
        'GatherV2',
        { x: device.operand(table, [rows, columns]), indices: device.operand(indices, [count]) },
        { axis: 0, batchDims: 0 },
      ),
    );

export const scatterAdd =
  (device: Device): Primitives['scatterAdd'] =>
  (source, indices, count, rows, columns) =>
    device.output(rows * columns, () => {
      if (count === 0) return device.filled(0, rows * columns);
      return device.run(
        'ScatterNd',
        { indices: device.operand(indices, [count, 1]), updates: device.operand(source, [count, columns]) },
        { shape: [rows, columns] },
      );
    });
