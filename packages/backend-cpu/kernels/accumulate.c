#include "elementwise.h"

/* target source length */
KERNEL(accumulate) {
  float *target = F32(a[0]);
  const float *source = F32(a[1]);
  for (isize begin, end; team_range(w, SIZE(a[2]), ELEMENTWISE_GRAIN, &begin, &end);)
    for (isize i = begin; i < end; i += 16)
      result16(target, operand16(target, 1, i, end) + operand16(source, 1, i, end), i, end);
}
