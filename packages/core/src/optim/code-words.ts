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
  /** What padding is, lest it be the largest of its block: the code of 0. */
  readonly zero: number;
}

/** Codes for a parameter. What they are at the start does not matter: a code counts with its block's absmax, which is 0 then. */
export function codeMoment({ backend, size }: Tensor, layout: WordLayout): Moment {
  const words = Math.ceil(layout.codes / layout.perWord);
  const tensor = keep(fromStorage(backend, backend.kernels.fill(0, words, 'i32'), [words], 'i32'));
  const savedShape = [Math.ceil(size / 4)];
  return {
    tensor,
    at: 0,
    async save() {
      const data = (await tensor.data()) as Int32Array;
      return { format: 'i32', shape: savedShape, data: pack(unpack(data, layout.perWord, size), 4) };
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
      const codes = new Uint8Array(layout.codes).fill(layout.zero);
      codes.set(unpack(array.data as Int32Array, 4, size));
      const data = pack(codes, layout.perWord);
      writeHost(tensor, { format: 'i32', shape: tensor.shape, data }, what);
    },
  };
}

/** The first `count` codes. */
function unpack(words: Int32Array, perWord: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => words[Math.floor(i / perWord)]! >>> (8 * (i % perWord)));
}

/** Words of codes, zero bits behind the last. */
function pack(codes: Uint8Array, perWord: number): Int32Array<ArrayBuffer> {
  const words = new Int32Array(Math.ceil(codes.length / perWord));
  codes.forEach((code, i) => (words[Math.floor(i / perWord)]! |= code << (8 * (i % perWord))));
  return words;
}
