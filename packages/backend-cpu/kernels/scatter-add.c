#include "elementwise.h"

/* Columns in a chunk: all threads go through all indices, each for columns of its own, so that sums keep their order. */
#define WIDTH 64

/* y source indices rows columns count */
KERNEL(scatterAdd) {
  float *y = F32(a[0]);
  const float *source = F32(a[1]);
  const i32 *indices = I32(a[2]);
  isize rows = SIZE(a[3]), columns = SIZE(a[4]), count = SIZE(a[5]);
  for (isize begin, end; team_range(w, rows * columns, 65536, &begin, &end);)
    __builtin_memset(y + begin, 0, (usize)(end - begin) * 4);
  team_barrier(w);
  isize width = count * WIDTH < ELEMENTWISE_GRAIN ? columns : WIDTH;
  for (isize first, last; team_range(w, columns, width, &first, &last);) {
    for (isize i = 0; i < count; i++) {
      if (indices[i] < 0 || indices[i] >= rows) {
        team_fail(w, indices[i]);
        continue;
      }
      float *target = y + indices[i] * columns + first;
      const float *from = source + i * columns + first;
      isize n = last - first;
      for (isize c = 0; c < n; c += 16) result16(target, operand16(target, 1, c, n) + operand16(from, 1, c, n), c, n);
    }
  }
}
