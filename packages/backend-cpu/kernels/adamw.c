/*
 * One AdamW step in place (Loshchilov & Hutter 2019, arXiv 1711.05101). Every operation rounds to f32, none is fused, in
 * this order, so that the same step composed of primitives gives the same bits; scalars are rounded to f32 once:
 *
 *   m = beta1 m + (1 - beta1) g
 *   v = beta2 v + (1 - beta2) (g g)
 *   p = p (1 - learningRate weightDecay) - (learningRate (m / correction1)) / (sqrt(v / correction2) + epsilon)
 */
#include "vector.h"

KERNEL(adamw) {
  float *parameter = F32(a[0]), *first = F32(a[2]), *second = F32(a[3]);
  const float *gradient = F32(a[1]);
  double learningRate = a[5], beta1 = a[6], beta2 = a[7], weightDecay = a[9];
  f32x16 keep1 = set16((float)beta1), take1 = set16((float)(1.0 - beta1));
  f32x16 keep2 = set16((float)beta2), take2 = set16((float)(1.0 - beta2));
  f32x16 decay = set16((float)(1.0 - learningRate * weightDecay)), rate = set16((float)learningRate);
  f32x16 epsilon = set16((float)a[8]), correction1 = set16((float)a[10]), correction2 = set16((float)a[11]);
  for (isize i, end; team_range(w, SIZE(a[4]), 8192, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      f32x16 g = load16_first(gradient + i, n, 0.0f);
      f32x16 m = keep1 * load16_first(first + i, n, 0.0f) + take1 * g;
      f32x16 v = keep2 * load16_first(second + i, n, 0.0f) + take2 * (g * g);
      f32x16 step = (rate * (m / correction1)) / (__builtin_elementwise_sqrt(v / correction2) + epsilon);
      store16_first(first + i, m, n);
      store16_first(second + i, v, n);
      store16_first(parameter + i, load16_first(parameter + i, n, 0.0f) * decay - step, n);
    }
}
