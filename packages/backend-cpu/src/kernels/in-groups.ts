/** Operands of one command: its list must leave room in the ring. */
const most = 4096;

/** The items in groups, in order. */
export function inGroups<Item>(items: readonly Item[]): Item[][] {
  const groups: Item[][] = [];
  for (let first = 0; first < items.length; first += most) groups.push(items.slice(first, first + most));
  return groups;
}
