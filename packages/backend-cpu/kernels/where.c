#include "elementwise.h"
#include "strided.h"

/* y condition a b rank, then by axis: size, strides of condition, a and b */
KERNEL(where) {
  float *y = F32(a[0]);
  const float *condition = F32(a[1]), *p = F32(a[2]), *q = F32(a[3]);
  isize rank = SIZE(a[4]);
  strided s = strided_of(a + 5, rank, 3);
  isize cs = 0, ps = 0, qs = 0;
  if (rank > 0) {
    cs = strided_stride(&s, rank - 1, 0);
    ps = strided_stride(&s, rank - 1, 1);
    qs = strided_stride(&s, rank - 1, 2);
  }
  isize grain = s.inner == 0 ? 1 : ELEMENTWISE_GRAIN / s.inner;
  for (isize begin, end; team_range(w, s.rows, grain, &begin, &end);) {
    strided_seek(&s, begin);
    for (isize at = begin; at < end; at++, strided_step(&s)) {
      ELEMENTWISE(y + at * s.inner, s.inner,
                  select16(operand16(condition + s.offset[0], cs, i, s.inner) != set16(0.0f),
                           operand16(p + s.offset[1], ps, i, s.inner), operand16(q + s.offset[2], qs, i, s.inner)));
    }
  }
}
