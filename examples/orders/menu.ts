/** The closed vocabularies of the orders. */
export const DRINKS = [
  'latte',
  'cappuccino',
  'espresso',
  'mocha',
  'americano',
  'flat white',
  'hot chocolate',
  'black tea',
  'green tea',
  'chai',
] as const;
export const SIZES = ['small', 'medium', 'large'] as const;
export const EXTRAS = [
  'oat milk',
  'soy milk',
  'vanilla',
  'caramel',
  'honey',
  'cinnamon',
  'whipped cream',
  'extra shot',
] as const;

export interface OrderItem {
  readonly count: number;
  readonly size: (typeof SIZES)[number];
  readonly name: (typeof DRINKS)[number];
  readonly extras: readonly (typeof EXTRAS)[number][];
}

/** What the model answers with: `JSON.stringify` of this, keys in this order. */
export interface Order {
  readonly items: readonly OrderItem[];
  readonly to_go: boolean;
}

/** What makes an item new to the model: drink, size and extras together. */
export function combination({ name, size, extras }: OrderItem): string {
  return [name, size, ...extras].join('|');
}
