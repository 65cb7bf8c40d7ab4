#include "vector.h"

/* y table indices rows columns count */
KERNEL(gather) {
  float *y = F32(a[0]);
  const float *table = F32(a[1]);
  const i32 *indices = I32(a[2]);
  isize rows = SIZE(a[3]), columns = SIZE(a[4]), count = SIZE(a[5]);
  for (isize begin, end; team_range(w, count, 16384 / (columns + 1), &begin, &end);) {
    for (isize i = begin; i < end; i++) {
      if (indices[i] >= 0 && indices[i] < rows) {
        __builtin_memcpy(y + i * columns, table + indices[i] * columns, (usize)columns * 4);
      } else {
        team_fail(w, indices[i]);
        for (isize c = 0; c < columns; c++) y[i * columns + c] = __builtin_nanf("");
      }
    }
  }
}
