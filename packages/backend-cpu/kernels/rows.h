/* Reductions along a row, in the 16 fixed lanes: lane i sums elements i, i + 16, ...; sum16 joins the lanes. */
#ifndef LOWRANK_ROWS_H
#define LOWRANK_ROWS_H

#include "math.h"

/* Rows of `columns` elements that make a chunk of about 16,384 elements. */
INLINE isize row_grain(isize columns) { return 16384 / (columns + 1) + 1; }

INLINE float row_max(const float *x, isize columns) {
  f32x16 m = set16(-__builtin_inff());
  isize i = 0;
  for (; i + 16 <= columns; i += 16) m = max16(load16(x + i), m);
  if (i < columns) m = max16(load16_first(x + i, columns - i, -__builtin_inff()), m);
  return max_of16(m);
}

/* Sum of exp(x - shift). */
INLINE float row_sum_exp(const float *x, isize columns, float shift) {
  f32x16 s = set16(0.0f);
  isize i = 0;
  for (; i + 16 <= columns; i += 16) s += exp16(load16(x + i) - set16(shift));
  if (i < columns) s += exp16(load16_first(x + i, columns - i, -__builtin_inff()) - set16(shift));
  return sum16(s);
}

INLINE float row_dot(const float *x, const float *y, isize columns) {
  f32x16 s = set16(0.0f);
  isize i = 0;
  for (; i + 16 <= columns; i += 16) s = fma16(load16(x + i), load16(y + i), s);
  if (i < columns) s = fma16(load16_first(x + i, columns - i, 0.0f), load16_first(y + i, columns - i, 0.0f), s);
  return sum16(s);
}

#endif
