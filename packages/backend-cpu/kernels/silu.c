/* y = x sigmoid(x), and its gradient dy s (1 + x (1 - s)). */
#include "activation.h"

KERNEL(silu) {
  float *y = F32(a[0]);
  const float *x = F32(a[1]);
  for (isize i, end; team_range(w, SIZE(a[2]), 8192, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      f32x16 v = load16_first(x + i, n, 0.0f);
      store16_first(y + i, v * sigmoid16(v), n);
    }
}

KERNEL(siluBackward) {
  float *dx = F32(a[0]);
  const float *x = F32(a[1]), *dy = F32(a[2]);
  for (isize i, end; team_range(w, SIZE(a[3]), 8192, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      store16_first(dx + i, load16_first(dy + i, n, 0.0f) * silu_slope16(load16_first(x + i, n, 0.0f)), n);
    }
}
