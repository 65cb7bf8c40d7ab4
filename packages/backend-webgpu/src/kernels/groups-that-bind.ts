import type { Storage } from '@lowrank/core';
import type { DeviceLimits } from '../device.ts';

/** A dispatch has so many parameters at the most, of which each item takes a few. */
const most = 16;

/**
 * The items in groups, in order: as many in a group as a program binds, with what all of them share. One that is too large even
 * alone is a group too: the dispatch then says so.
 */
export function groupsThatBind<Item>(
  { bindings, bindingBytes }: DeviceLimits,
  items: readonly Item[],
  shared: readonly Storage[],
  storagesOf: (item: Item) => readonly Storage[],
): Item[][] {
  const windows = (storages: readonly Storage[]): number =>
    storages.reduce((count, { byteLength }) => count + Math.max(1, Math.ceil(byteLength / bindingBytes)), 0);
  const room = bindings - windows(shared);
  const groups: Item[][] = [];
  let left = 0;
  for (const item of items) {
    const needed = windows(storagesOf(item));
    if (groups.length === 0 || needed > left || groups.at(-1)!.length === most) {
      groups.push([]);
      left = room;
    }
    groups.at(-1)!.push(item);
    left -= needed;
  }
  return groups;
}
