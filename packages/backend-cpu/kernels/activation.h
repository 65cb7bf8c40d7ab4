/* What silu and swiglu share. */
#ifndef LOWRANK_ACTIVATION_H
#define LOWRANK_ACTIVATION_H

#include "math.h"

/* The derivative of x sigmoid(x). */
INLINE f32x16 silu_slope16(f32x16 x) {
  f32x16 s = sigmoid16(x);
  return s * fma16(x, set16(1.0f) - s, set16(1.0f));
}

#endif
