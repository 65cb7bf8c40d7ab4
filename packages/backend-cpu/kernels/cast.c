#include "elementwise.h"

INLINE i32x16 integers16(f32x16 x) {
  f32x16 limit = set16(0x1p31f);
  i32x16 over = x >= limit;
  x = select16((x != x) | over, set16(0.0f), x);
  x = select16(x < -limit, -limit, x);
  return (__builtin_convertvector(x, i32x16) & ~over) | (over & iset16(0x7fffffff));
}

/* y x length to: 0 from integers to floats, 1 from floats to integers */
KERNEL(cast) {
  float *y = F32(a[0]);
  const float *x = F32(a[1]);
  isize to = SIZE(a[3]);
  for (isize begin, end; team_range(w, SIZE(a[2]), ELEMENTWISE_GRAIN, &begin, &end);) {
    for (isize i = begin; i < end; i += 16) {
      f32x16 from = operand16(x, 1, i, end);
      f32x16 result = to ? (f32x16)integers16(from) : __builtin_convertvector((i32x16)from, f32x16);
      result16(y, result, i, end);
    }
  }
}
