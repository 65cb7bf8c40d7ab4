#include "adamw.h"

/* parameter gradient firstMoment secondMoment length, scalars: in place */
KERNEL(adamw) {
  float *parameter = F32(a[0]), *first = F32(a[2]), *second = F32(a[3]);
  const float *gradient = F32(a[1]);
  adamw_scalars scalars = adamw_scalars_of(a + 5);
  for (isize i, end; team_range(w, SIZE(a[4]), 8192, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      f32x16 m = load16_first(first + i, n, 0.0f), v = load16_first(second + i, n, 0.0f);
      f32x16 p = load16_first(parameter + i, n, 0.0f), g = load16_first(gradient + i, n, 0.0f);
      p = adamw_step(&scalars, p, g, &m, &v);
      store16_first(first + i, m, n);
      store16_first(second + i, v, n);
      store16_first(parameter + i, p, n);
    }
}
