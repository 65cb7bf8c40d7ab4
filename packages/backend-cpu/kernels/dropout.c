/*
 * y = x mask / (1 - probability). The mask is core's: 16 bits an element of Philox4x32-10 (Salmon et al. 2011) at counter
 * [column / 8, row, stream0, stream1], kept where they are at least the probability in 65,536ths. Sixteen blocks of eight
 * columns are drawn at a time.
 */
#include "vector.h"

typedef u32 u32x16 __attribute__((ext_vector_type(16)));
typedef u64 u64x16 __attribute__((ext_vector_type(16)));
typedef u16 u16x16 __attribute__((ext_vector_type(16)));

INLINE u32x16 multiply_high(u32x16 x, u32 y) {
  return __builtin_convertvector((__builtin_convertvector(x, u64x16) * (u64)y) >> 32, u32x16);
}

/* Bits of columns 8 block .. 8 (block + 16) of a row, in the columns' order. */
static void draw(u16 *halves, u32 key0, u32 key1, u32 block, u32 row, u32 stream0, u32 stream1) {
  u32x16 x0 = (u32x16)(block) + (u32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  u32x16 x1 = (u32x16)(row), x2 = (u32x16)(stream0), x3 = (u32x16)(stream1);
  for (int round = 0; round < 10; round++) {
    u32x16 high0 = multiply_high(x0, 0xd2511f53u), low0 = x0 * 0xd2511f53u;
    u32x16 high1 = multiply_high(x2, 0xcd9e8d57u), low1 = x2 * 0xcd9e8d57u;
    x0 = high1 ^ x1 ^ (u32x16)(key0);
    x1 = low1;
    x2 = high0 ^ x3 ^ (u32x16)(key1);
    x3 = low0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
  for (int i = 0; i < 16; i++) {
    u32 words[4] = {x0[i], x1[i], x2[i], x3[i]};
    for (int j = 0; j < 4; j++) {
      halves[8 * i + 2 * j] = (u16)(words[j] & 0xffff);
      halves[8 * i + 2 * j + 1] = (u16)(words[j] >> 16);
    }
  }
}

KERNEL(dropout) {
  isize rows = SIZE(a[2]), columns = SIZE(a[3]);
  i32 threshold = (i32)(a[4] * 65536.0 + 0.5);
  f32x16 scale = set16((float)(1.0 / (1.0 - a[4])));
  for (isize row, end; team_range(w, rows, 8192 / (columns + 1) + 1, &row, &end);)
    for (; row < end; row++) {
      float *y = F32(a[0]) + row * columns;
      const float *x = F32(a[1]) + row * columns;
      for (isize column = 0; column < columns; column += 128) {
        u16 halves[128];
        draw(halves, (u32)a[5], (u32)a[6], (u32)(column / 8), (u32)row, (u32)a[7], (u32)a[8]);
        for (isize i = 0; i < 128 && column + i < columns; i += 16) {
          isize n = min16(columns - column - i);
          u16x16 drawn;
          __builtin_memcpy(&drawn, halves + i, sizeof drawn);
          f32x16 mask = select16(__builtin_convertvector(drawn, i32x16) >= iset16(threshold), scale, set16(0.0f));
          store16_first(y + column + i, load16_first(x + column + i, n, 0.0f) * mask, n);
        }
      }
    }
}
