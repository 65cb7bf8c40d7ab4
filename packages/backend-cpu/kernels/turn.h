/* Rows side by side: words of 4 bytes of VL rows, turned so that lane r is row r's. */
#ifndef LOWRANK_TURN_H
#define LOWRANK_TURN_H

#include "vector.h"

typedef u32 u32x4 __attribute__((ext_vector_type(4)));

INLINE u32 load_word(const u8 *p) {
  u32 x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
INLINE u32x4 load_words(const u8 *p) {
  u32x4 x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}

/* The 4 bytes at p of each row, rows `stride` bytes apart. */
INLINE vu word_of_rows(const u8 *p, isize stride) {
  vu x;
#pragma clang loop unroll(full)
  for (int r = 0; r < VL; r++) x[r] = load_word(p + r * stride);
  return x;
}

#if VL == 16
#define ROWS_APART(p, i, stride) \
  __builtin_shufflevector( \
    __builtin_shufflevector(load_words(p + i * stride), load_words(p + (i + 4) * stride), 0, 1, 2, 3, 4, 5, 6, 7), \
    __builtin_shufflevector(load_words(p + (i + 8) * stride), load_words(p + (i + 12) * stride), 0, 1, 2, 3, 4, 5, 6, 7), \
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define ZIP_LOW_WORDS(x, y) \
  __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define ZIP_HIGH_WORDS(x, y) \
  __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define ZIP_LOW_PAIRS(x, y) \
  __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define ZIP_HIGH_PAIRS(x, y) \
  __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#elif VL == 8
#define ROWS_APART(p, i, stride) \
  __builtin_shufflevector(load_words(p + i * stride), load_words(p + (i + 4) * stride), 0, 1, 2, 3, 4, 5, 6, 7)
#define ZIP_LOW_WORDS(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13)
#define ZIP_HIGH_WORDS(x, y) __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15)
#define ZIP_LOW_PAIRS(x, y) __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13)
#define ZIP_HIGH_PAIRS(x, y) __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define ROWS_APART(p, i, stride) load_words(p + i * stride)
#define ZIP_LOW_WORDS(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define ZIP_HIGH_WORDS(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#define ZIP_LOW_PAIRS(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define ZIP_HIGH_PAIRS(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)
#endif

/* The 16 bytes at p of each row: word i of all rows in out[i]. */
INLINE void words_of_rows(const u8 *p, isize stride, vu *out) {
  vu a = ROWS_APART(p, 0, stride), b = ROWS_APART(p, 1, stride);
  vu c = ROWS_APART(p, 2, stride), d = ROWS_APART(p, 3, stride);
  vu ab = ZIP_LOW_WORDS(a, b), cd = ZIP_LOW_WORDS(c, d);
  vu ab2 = ZIP_HIGH_WORDS(a, b), cd2 = ZIP_HIGH_WORDS(c, d);
  out[0] = ZIP_LOW_PAIRS(ab, cd);
  out[1] = ZIP_HIGH_PAIRS(ab, cd);
  out[2] = ZIP_LOW_PAIRS(ab2, cd2);
  out[3] = ZIP_HIGH_PAIRS(ab2, cd2);
}

/* Columns [first, first + count) of `rows` rows of floats from `row` on: element k of row r to y[(k - first) * to + r - row]. */
static __attribute__((noinline)) void turn_floats(const float *matrix, isize columns, isize row, isize rows,
                                                  isize first, isize count, float *y, isize to) {
  const float *data = matrix + row * columns + first;
  isize whole = rows / VL * VL, done = count / 4 * 4;
  for (isize r = 0; r < whole; r += VL)
    for (isize k = 0; k < done; k += 4) {
      vu q[4];
      words_of_rows((const u8 *)(data + r * columns + k), columns * (isize)sizeof(float), q);
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) vstore(y + (k + i) * to + r, (vf)q[i]);
    }
  for (isize r = 0; r < rows; r++)
    for (isize k = r < whole ? done : 0; k < count; k++) y[k * to + r] = data[r * columns + k];
}

#endif
