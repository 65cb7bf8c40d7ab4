/** How people say an order. */
import type { RandomStream } from '@lowrank/core';
import type { Order, OrderItem } from './menu.ts';

const OPENINGS: readonly ((items: string, place: string) => string)[] = [
  (items, place) => `Can I get ${items}${place}?`,
  (items, place) => `Could I have ${items}${place}, please?`,
  (items, place) => `I'd like ${items}${place}.`,
  (items, place) => `I'll have ${items}${place}, please.`,
  (items, place) => `Hi, ${items}${place}, please.`,
  (items, place) => `${capitalized(items)}${place}.`,
  (items, place) => `${capitalized(items)}${place}, thanks!`,
  (items, place) => `We'd like ${items}${place}.`,
];
const TO_GO = [' to go', ' to take away', ' for takeaway'];
const FOR_HERE = [' for here', ' to drink in', ''];
const COUNTS = ['', 'a', 'two', 'three', 'four'];

/** One way of several to say the order. */
export function say(order: Order, random: RandomStream): string {
  const items = order.items.map((item) => sayItem(item, random)).join(' and ');
  return pick(OPENINGS, random)(items, pick(order.to_go ? TO_GO : FOR_HERE, random));
}

function sayItem({ count, size, name, extras }: OrderItem, random: RandomStream): string {
  const amount = count === 1 && random.nextInteger(3) === 0 ? 'one' : COUNTS[count]!;
  const drink = count === 1 ? name : `${name}s`;
  const milk = extras[0] === 'oat milk' || extras[0] === 'soy milk' ? extras[0] : undefined;
  // "a large oat milk latte" is as common as "a large latte with oat milk".
  if (milk !== undefined && extras.length === 1 && random.nextInteger(2) === 0) {
    return `${amount} ${size} ${milk} ${drink}`;
  }
  if (extras.length === 0) return `${amount} ${size} ${drink}`;
  return `${amount} ${size} ${drink} with ${extras.map((extra) => (extra === 'extra shot' ? 'an extra shot' : extra)).join(' and ')}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function pick<T>(from: readonly T[], random: RandomStream): T {
  return from[random.nextInteger(from.length)]!;
}
