/* y = exp(x - max) / sum, row by row, and its gradient y (dy - sum(y dy)). */
#include "rows.h"

KERNEL(softmax) {
  isize columns = SIZE(a[3]);
  for (isize row, end; team_range(w, SIZE(a[2]), row_grain(columns), &row, &end);)
    for (; row < end; row++) {
      float *y = F32(a[0]) + row * columns;
      const float *x = F32(a[1]) + row * columns;
      f32x16 shift = set16(row_max(x, columns));
      f32x16 sum = set16(0.0f);
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        f32x16 e = exp16(load16_first(x + i, n, -__builtin_inff()) - shift);
        sum += e;
        store16_first(y + i, e, n);
      }
      f32x16 total = set16(sum16(sum));
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        store16_first(y + i, load16_first(y + i, n, 0.0f) / total, n);
      }
    }
}

KERNEL(softmaxBackward) {
  isize columns = SIZE(a[4]);
  for (isize row, end; team_range(w, SIZE(a[3]), row_grain(columns), &row, &end);)
    for (; row < end; row++) {
      float *dx = F32(a[0]) + row * columns;
      const float *y = F32(a[1]) + row * columns, *dy = F32(a[2]) + row * columns;
      f32x16 dot = set16(row_dot(y, dy, columns));
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        store16_first(dx + i, load16_first(y + i, n, 0.0f) * (load16_first(dy + i, n, 0.0f) - dot), n);
      }
    }
}
