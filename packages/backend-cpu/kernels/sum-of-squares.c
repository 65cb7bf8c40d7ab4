/*
 * The sum of the squares of many arrays, in the order, and so with the bits, of a product, a sum for each array, and a sum of those
 * (see reduce.c): pieces of 4096 elements, lane j takes elements j, j + 16, ..., pieces in ascending order. A square is
 * rounded before it is added.
 */
#include "pieces.h"

INLINE float squares_of_piece(const float *x, isize n) {
  f32x16 lanes = set16(0.0f);
  for (isize i = 0; i < n; i += 16) {
    f32x16 some = n - i >= 16 ? load16(x + i) : load16_first(x + i, n - i, 0.0f);
    lanes = lanes + some * some;
  }
  return sum16(lanes);
}

/* y partials sums pieces count, for each: x length before. `before`: pieces of those in front of it; partials [pieces], sums [count] */
KERNEL(sumOfSquares) {
  float *y = F32(a[0]), *partials = F32(a[1]), *sums = F32(a[2]);
  isize count = SIZE(a[4]);
  const double *operands = a + 5;
  for (isize unit, end; team_range(w, SIZE(a[3]), 4, &unit, &end);) {
    const double *of = operands;
    for (; unit < end; unit++) {
      while (unit >= SIZE(of[2]) + (SIZE(of[1]) + PIECE - 1) / PIECE) of += 3;
      isize first = (unit - SIZE(of[2])) * PIECE, rest = SIZE(of[1]) - first;
      partials[unit] = squares_of_piece(F32(of[0]) + first, rest < PIECE ? rest : PIECE);
    }
  }
  team_barrier(w);
  for (isize chunk; (chunk = team_next(w, 1)) >= 0;) {
    for (isize k = 0, unit = 0; k < count; k++) {
      float sum = 0.0f;
      for (isize end = unit + (SIZE(operands[3 * k + 1]) + PIECE - 1) / PIECE; unit < end; unit++) sum += partials[unit];
      sums[k] = sum;
    }
    float total = 0.0f;
    for (isize i = 0; i < count; i += PIECE) total += sum_of_piece(sums + i, count - i < PIECE ? count - i : PIECE);
    y[0] = total;
  }
}
