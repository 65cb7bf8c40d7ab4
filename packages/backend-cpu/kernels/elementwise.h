/* Elementwise loops over 16 elements at a time; the last ones by lanes that are loaded and stored one by one. */
#ifndef LOWRANK_ELEMENTWISE_H
#define LOWRANK_ELEMENTWISE_H

#include "vector.h"

/* Elements in a chunk of work. */
#define ELEMENTWISE_GRAIN 16384

/* 16 elements from p[i] (fewer at the end, n), or 16 times the one element that a stride of 0 repeats. */
INLINE f32x16 operand16(const float *p, isize stride, isize i, isize n) {
  if (stride == 0) return set16(*p);
  return n - i >= 16 ? load16(p + i) : load16_first(p + i, n - i, 0.0f);
}
INLINE void result16(float *p, f32x16 x, isize i, isize n) {
  if (n - i >= 16) store16(p + i, x);
  else store16_first(p + i, x, n - i);
}

/* y[i] = expression, for i = 0 .. n - 1; the expression's operands come from operand16(pointer, stride, i, n). */
#define ELEMENTWISE(y, n, expression) \
  for (isize i = 0; i < (n); i += 16) result16((y), (expression), i, (n))

#endif
