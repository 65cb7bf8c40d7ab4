#include "adamw.h"

INLINE void step_some(
  const adamw_scalars *scalars, float *parameter, const float *gradient, float *first, float *second, isize length
) {
  for (isize i = 0; i < length; i += 16) {
    isize n = min16(length - i);
    f32x16 m = load16_first(first + i, n, 0.0f), v = load16_first(second + i, n, 0.0f);
    f32x16 p = load16_first(parameter + i, n, 0.0f), g = load16_first(gradient + i, n, 0.0f);
    p = adamw_step(scalars, p, g, &m, &v);
    store16_first(first + i, m, n);
    store16_first(second + i, v, n);
    store16_first(parameter + i, p, n);
  }
}

/*
 * moments gradientScale row end count, scalars, for each: parameter gradient length at. In place. What is divided is the row of
 * moments up to `end`, the last parameter's.
 */
KERNEL(adamw) {
  float *first = F32(a[0]), *second = first + SIZE(a[2]);
  isize count = SIZE(a[4]);
  adamw_scalars scalars = adamw_scalars_of(F32(a[1])[0], a + 5);
  const double *operands = a + 12;
  for (isize begin, end; team_range(w, SIZE(a[3]), 8192, &begin, &end);)
    for (isize k = 0; k < count; k++) {
      const double *of = operands + 4 * k;
      isize at = SIZE(of[3]), from = at > begin ? at : begin, to = at + SIZE(of[2]);
      if (at >= end) break;
      if (to > end) to = end;
      if (from < to) step_some(&scalars, F32(of[0]) + (from - at), F32(of[1]) + (from - at), first + from, second + from, to - from);
    }
}
