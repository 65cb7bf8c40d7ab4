#include "elementwise.h"
#include "math.h"

enum { NEG, ABS, SIGN, EXP, LOG, SQRT, RECIPROCAL, TANH, SIGMOID };

#define MAP(op, expression) \
  case op: \
    for (isize i = begin; i < end; i += 16) { \
      f32x16 x = operand16(p, 1, i, end); \
      result16(y, (expression), i, end); \
    } \
    break;

INLINE f32x16 sign16(f32x16 x) {
  f32x16 one = select16(x > set16(0.0f), set16(1.0f), x);
  return select16(x < set16(0.0f), set16(-1.0f), one);
}

/* y x op length */
KERNEL(unary) {
  float *y = F32(a[0]);
  const float *p = F32(a[1]);
  isize op = SIZE(a[2]), length = SIZE(a[3]);
  for (isize begin, end; team_range(w, length, ELEMENTWISE_GRAIN, &begin, &end);) {
    switch (op) {
      MAP(NEG, -x)
      MAP(ABS, (f32x16)((i32x16)x & iset16(0x7fffffff)))
      MAP(SIGN, sign16(x))
      MAP(EXP, exp16(x))
      MAP(LOG, log16(x))
      MAP(SQRT, __builtin_elementwise_sqrt(x))
      MAP(RECIPROCAL, set16(1.0f) / x)
      MAP(TANH, tanh16(x))
      MAP(SIGMOID, sigmoid16(x))
    }
  }
}
