import { CoreError } from '../errors/core-error.ts';
import { writeHost } from '../tensor/host-copy.ts';
import { keep } from '../tensor/scope.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import { fromStorage, type Tensor } from '../tensor/tensor.ts';
import type { Moment } from './moment.ts';

/**
 * 8-bit codes in words of i32: code i stands in word floor(i / perWord), the first in the lowest bits.
 *
 * Fused kernels work on four to a word, and files hold four. Primitives cannot take such a word apart: a cast to f32 keeps 24
 * bits, so what is composed of them works on three.
 */
export interface WordLayout {
  readonly perWord: 3 | 4;
  /** Codes that are kept, of which those from the parameter's size on are padding. */
  readonly codes: number;
}

/** Codes of zeros for a parameter. A code counts only with its block's absmax, which is 0 at the start. */
export function codeMoment({ backend, size }: Tensor, layout: WordLayout): Moment {
  const words = Math.ceil(layout.codes / layout.perWord);
  const tensor = keep(fromStorage(backend, backend.kernels.fill(0, words, 'i32'), [words], 'i32'));
  const savedShape = [Math.ceil(size / 4)];
  return {
    tensor,
    async save() {
      const data = (await tensor.data()) as Int32Array;
      return { format: 'i32', shape: savedShape, data: repack(data, layout.perWord, 4, size) };
    },
    check(array, what) {
      if (array.format !== 'i32' || !sameShape(array.shape, savedShape)) {
        throw new CoreError(
          'CORE_STATE',
          `${what} is ${array.format} ${shapeText(array.shape)}; i32 ${shapeText(savedShape)} is needed`,
          { value: array.shape },
        );
      }
    },
    load(array, what) {
      const data = repack(array.data as Int32Array, 4, layout.perWord, size, words);
      writeHost(tensor, { format: 'i32', shape: tensor.shape, data }, what);
    },
  };
}

/** The first `count` codes in words of another size, the rest zeros. */
export function repack(
  from: Int32Array,
  perWord: number,
  perNewWord: number,
  count: number,
  words: number = Math.ceil(count / perNewWord),
): Int32Array<ArrayBuffer> {
  const to = new Int32Array(words);
  for (let i = 0; i < count; i++) {
    const code = (from[Math.floor(i / perWord)]! >>> (8 * (i % perWord))) & 255;
    to[Math.floor(i / perNewWord)]! |= code << (8 * (i % perNewWord));
  }
  return to;
}
