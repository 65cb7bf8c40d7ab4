#include "strided.h"

/* target source rank, then by axis: size, stride of target; the innermost stride is 1. 32-bit elements of either type. */
KERNEL(writeStrided) {
  i32 *target = I32(a[0]);
  const i32 *source = I32(a[1]);
  strided s = strided_of(a + 3, SIZE(a[2]), 1);
  isize grain = s.inner == 0 ? 1 : 16384 / s.inner;
  for (isize begin, end; team_range(w, s.rows, grain, &begin, &end);) {
    strided_seek(&s, begin);
    for (isize row = begin; row < end; row++, strided_step(&s))
      __builtin_memcpy(target + s.offset[0], source + row * s.inner, (usize)s.inner * 4);
  }
}
