import { sizeOf, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';

export const slice =
  (device: Device): Primitives['slice'] =>
  (storage, shape, start, size) =>
    device.output(
      sizeOf(size),
      () => part(device, device.operand(storage, shape), start, size),
      storage.dtype as 'f32' | 'i32',
    );

/** Tensors do not change: the target becomes what lies before the window, the source, and what lies behind, joined. */
export const writeSlice =
  (device: Device): Primitives['writeSlice'] =>
  (target, shape, source, start, size) => {
    if (sizeOf(size) === 0) return;
    device.replace(target, () => {
      const inner = device.operand(source, size);
      return overwrite(device, device.operand(target, shape), inner, start, 0);
    });
  };

/** `x`, of which axes before `axis` are cut to the window already, with `source` in the window. */
function overwrite(
  device: Device,
  x: EngineTensor,
  source: EngineTensor,
  start: readonly number[],
  axis: number,
): EngineTensor {
  if (axis === x.shape.length) return source;
  const [from, length, whole] = [start[axis]!, source.shape[axis]!, x.shape[axis]!];
  const along = (at: number, count: number): EngineTensor => {
    const begin = x.shape.map((_, i) => (i === axis ? at : 0));
    return part(
      device,
      x,
      begin,
      x.shape.map((size, i) => (i === axis ? count : size)),
    );
  };
  const rest = source.shape.slice(axis + 1);
  const covers = rest.every((size, i) => size === x.shape[axis + 1 + i]);
  const window = covers ? source : overwrite(device, along(from, length), source, start, axis + 1);
  const behind = from + length;
  const parts = [
    ...(from > 0 ? [along(0, from)] : []),
    window,
    ...(behind < whole ? [along(behind, whole - behind)] : []),
  ];
  return parts.length === 1 ? window : device.run('Concat', parts, { axis });
}

function part(device: Device, x: EngineTensor, begin: readonly number[], size: readonly number[]): EngineTensor {
  if (size.every((length, axis) => length === x.shape[axis])) return x;
  return device.run('Slice', { x }, { begin: [...begin], size: [...size] });
}
