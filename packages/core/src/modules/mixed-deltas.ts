import { CoreError } from '../errors/core-error.ts';
import { add } from '../ops/binary.ts';
import { concat } from '../ops/concat.ts';
import { gather } from '../ops/gather.ts';
import { flattenRows, reshape } from '../ops/reshape.ts';
import { filled, tensor, type Tensor } from '../tensor/tensor.ts';
import type { AdapterRows } from './adapter-rows.ts';
import type { AdapterSlot } from './adapter-slot.ts';

/** What a slot adds to rows of the layer's output. */
type DeltaOf = (slot: AdapterSlot, x: Tensor, y0: Tensor) => Tensor;

/**
 * y0 and, for each row, what its own adapter adds. An adapter sees its rows alone, gathered; so it costs what they cost, and
 * its dropout masks are numbered along them. An embedding's adapter looks all ids up, which is cheap, and its rows are taken out.
 * @param x [..., in] f32, or ids [...] i32, with as many rows as `rows` names.
 * @param y0 [..., out].
 * @throws CoreError CORE_SHAPE where x has another number of rows.
 */
export function mixedDeltas(
  x: Tensor,
  y0: Tensor,
  slots: readonly AdapterSlot[],
  rows: AdapterRows,
  delta: DeltaOf,
): Tensor {
  const ids = x.dtype === 'i32';
  const flat = ids ? reshape(x, [x.size]) : flattenRows(x);
  const base = flattenRows(y0);
  const count = flat.shape[0]!;
  if (count !== rows.names.length) {
    throw new CoreError(
      'CORE_SHAPE',
      `adapterRows says adapters for ${rows.names.length} rows, the layer's input has ${count}; pick() those of the rows that were gathered`,
      { value: count },
    );
  }
  const parts: Tensor[] = [];
  // Row of all parts together that each row adds; those of the base alone, the zeros behind them.
  const source = new Int32Array(count).fill(-1);
  let total = 0;
  for (const slot of slots) {
    const own = rows.of(slot.name);
    if (own.length === 0) continue;
    const part = ids ? delta(slot, flat, base) : onRows(slot, flat, base, own, delta);
    own.forEach((row, i) => {
      source[row] = total + (ids ? row : i);
    });
    parts.push(part);
    total += ids ? count : own.length;
  }
  if (parts.length === 0) return y0;
  const { backend } = y0;
  const width = base.shape[1]!;
  const zeros = filled(backend, 0, [1, width]);
  const table = concat([...parts, zeros], 0);
  const places = tensor(
    backend,
    source.map((place) => (place < 0 ? total : place)),
    [count],
  );
  return reshape(add(base, gather(table, places)), y0.shape);
}

function onRows(slot: AdapterSlot, x: Tensor, y0: Tensor, own: Int32Array, delta: DeltaOf): Tensor {
  if (own.length === x.shape[0]) return delta(slot, x, y0);
  const indices = tensor(x.backend, own, [own.length]);
  return delta(slot, gather(x, indices), gather(y0, indices));
}
