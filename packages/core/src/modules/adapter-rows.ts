import { CoreError } from '../errors/core-error.ts';
import { Adaptable } from './adaptable.ts';
import type { ForwardPass, Module } from './module.ts';
import { ownerOf } from './weight-owner.ts';

/** Which adapter each row of a batch goes through. */
export class AdapterRows {
  /** Each row's adapter; undefined: the base alone. */
  readonly names: readonly (string | undefined)[];

  constructor(names: readonly (string | undefined)[]) {
    this.names = names;
  }

  /** The same for some of the rows, as they were gathered. */
  pick(rows: Iterable<number>): AdapterRows {
    return new AdapterRows(Array.from(rows, (row) => this.names[row]));
  }

  /** The rows of one adapter. */
  of(name: string): Int32Array {
    const rows: number[] = [];
    this.names.forEach((other, row) => {
      if (other === name) rows.push(row);
    });
    return Int32Array.from(rows);
  }
}

/** A pass for rows that were gathered: each keeps its adapter. */
export function passForRows(pass: ForwardPass, rows: Iterable<number>): ForwardPass {
  return pass.adapterRows === undefined ? pass : { ...pass, adapterRows: pass.adapterRows.pick(rows) };
}

/**
 * Different adapters for different sequences of one batch, for `ForwardPass.adapterRows`.
 * @param lengths rows of each sequence, one behind the other.
 * @param names each sequence's adapter, which is on the model and active; undefined: the base alone.
 * @throws CoreError CORE_ARGUMENT for a name that is not there or switched off, and while an adapter has replaced a weight of the
 * model (modules to save, PiSSA): the other rows would go through it as well.
 */
export function adapterRows(
  model: Module,
  lengths: readonly number[],
  names: readonly (string | undefined)[],
): AdapterRows {
  if (names.length !== lengths.length) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `adapterRows: ${lengths.length} sequences need as many adapter names, not ${names.length}`,
      { value: names.length },
    );
  }
  const active = new Set<string>();
  for (const [path, module] of model.modules()) {
    if (module instanceof Adaptable) for (const slot of module.slots) if (slot.active) active.add(slot.name);
    for (const [name, weight] of module.weights()) {
      const owner = ownerOf(weight);
      if (owner !== undefined) {
        throw new CoreError(
          'CORE_ARGUMENT',
          `adapterRows: '${owner}' has replaced ${path}.${name} for all rows; deactivate it to mix others in one batch`,
          { value: owner },
        );
      }
    }
  }
  const missing = names.find((name) => name !== undefined && !active.has(name));
  if (missing !== undefined) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `adapterRows: no adapter '${missing}' is on the model and active; there are ${[...active].join(', ') || 'none'}`,
      { value: missing },
    );
  }
  return new AdapterRows(names.flatMap((name, i) => Array.from({ length: lengths[i]! }, () => name)));
}
