/* y = silu(gate) up, and its gradients. */
#include "activation.h"

KERNEL(swiglu) {
  float *y = F32(a[0]);
  const float *gate = F32(a[1]), *up = F32(a[2]);
  for (isize i, end; team_range(w, SIZE(a[3]), 8192, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      f32x16 g = load16_first(gate + i, n, 0.0f);
      store16_first(y + i, g * sigmoid16(g) * load16_first(up + i, n, 0.0f), n);
    }
}

KERNEL(swigluBackward) {
  float *dGate = F32(a[0]), *dUp = F32(a[1]);
  const float *gate = F32(a[2]), *up = F32(a[3]), *dy = F32(a[4]);
  for (isize i, end; team_range(w, SIZE(a[5]), 8192, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      f32x16 g = load16_first(gate + i, n, 0.0f), d = load16_first(dy + i, n, 0.0f);
      f32x16 s = sigmoid16(g);
      f32x16 slope = s * fma16(g, set16(1.0f) - s, set16(1.0f));
      store16_first(dUp + i, d * (g * s), n);
      store16_first(dGate + i, d * load16_first(up + i, n, 0.0f) * slope, n);
    }
}
