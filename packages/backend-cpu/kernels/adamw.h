/*
 * One AdamW step (Loshchilov & Hutter 2019, arXiv 1711.05101) of 16 parameters. Every operation rounds to f32, none is fused, in
 * this order, so that the same step composed of primitives gives the same bits; scalars are rounded to f32 once:
 *
 *   g = gradient gradientScale
 *   m = beta1 m + (1 - beta1) g
 *   v = beta2 v + (1 - beta2) (g g)
 *   p = p (1 - learningRate weightDecay) - (learningRate (m / correction1)) / (sqrt(v / correction2) + epsilon)
 */
#ifndef LOWRANK_ADAMW_H
#define LOWRANK_ADAMW_H
#include "vector.h"

typedef struct {
  f32x16 scale, keep1, take1, keep2, take2, decay, rate, epsilon, correction1, correction2;
} adamw_scalars;

/* From the gradients' scale and "learningRate beta1 beta2 epsilon weightDecay correction1 correction2". */
INLINE adamw_scalars adamw_scalars_of(float scale, const double *s) {
  double learningRate = s[0], beta1 = s[1], beta2 = s[2], weightDecay = s[4];
  return (adamw_scalars){
    .scale = set16(scale),
    .keep1 = set16((float)beta1),
    .take1 = set16((float)(1.0 - beta1)),
    .keep2 = set16((float)beta2),
    .take2 = set16((float)(1.0 - beta2)),
    .decay = set16((float)(1.0 - learningRate * weightDecay)),
    .rate = set16((float)learningRate),
    .epsilon = set16((float)s[3]),
    .correction1 = set16((float)s[5]),
    .correction2 = set16((float)s[6]),
  };
}

/* The parameters after the step; the moments are changed in place. */
INLINE f32x16 adamw_step(const adamw_scalars *s, f32x16 p, f32x16 gradient, f32x16 *m, f32x16 *v) {
  f32x16 g = gradient * s->scale;
  *m = s->keep1 * *m + s->take1 * g;
  *v = s->keep2 * *v + s->take2 * (g * g);
  f32x16 step = (s->rate * (*m / s->correction1)) / (__builtin_elementwise_sqrt(*v / s->correction2) + s->epsilon);
  return p * s->decay - step;
}

#endif
