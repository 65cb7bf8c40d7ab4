/*
 * Root mean square normalization (Zhang & Sennrich 2019, arXiv 1910.07467): y = x r weight, r = 1 / sqrt(mean(x^2) + epsilon).
 * With u = x r: dx = r (dy weight - u mean(dy weight u)), dWeight = sum over rows of dy u.
 */
#include "rows.h"

INLINE float row_scale(const float *x, isize columns, float epsilon) {
  return 1.0f / ssqrt(row_dot(x, x, columns) / (float)columns + epsilon);
}

KERNEL(rmsNorm) {
  isize columns = SIZE(a[4]);
  const float *weight = F32(a[2]);
  for (isize row, end; team_range(w, SIZE(a[3]), row_grain(columns), &row, &end);)
    for (; row < end; row++) {
      float *y = F32(a[0]) + row * columns;
      const float *x = F32(a[1]) + row * columns;
      f32x16 r = set16(row_scale(x, columns, (float)a[5]));
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        store16_first(y + i, load16_first(x + i, n, 0.0f) * r * load16_first(weight + i, n, 0.0f), n);
      }
    }
}

KERNEL(rmsNormBackward) {
  isize columns = SIZE(a[5]);
  const float *weight = F32(a[2]);
  for (isize row, end; team_range(w, SIZE(a[4]), row_grain(columns), &row, &end);)
    for (; row < end; row++) {
      float *dx = F32(a[0]) + row * columns;
      const float *x = F32(a[1]) + row * columns, *dy = F32(a[3]) + row * columns;
      float scale = row_scale(x, columns, (float)a[6]);
      f32x16 r = set16(scale), s = set16(0.0f);
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        f32x16 g = load16_first(dy + i, n, 0.0f) * load16_first(weight + i, n, 0.0f);
        s = fma16(g, load16_first(x + i, n, 0.0f) * r, s);
      }
      f32x16 mean = set16(sum16(s) / (float)columns);
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        f32x16 g = load16_first(dy + i, n, 0.0f) * load16_first(weight + i, n, 0.0f);
        f32x16 u = load16_first(x + i, n, 0.0f) * r;
        store16_first(dx + i, r * fma16(-u, mean, g), n);
      }
    }
}

/* Two phases: every row's r to scratch, then columns, each summed over ascending rows. */
KERNEL(rmsNormWeightBackward) {
  isize rows = SIZE(a[4]), columns = SIZE(a[5]);
  float *dWeight = F32(a[0]), *scales = F32(a[3]);
  const float *x = F32(a[1]), *dy = F32(a[2]);
  for (isize row, end; team_range(w, rows, row_grain(columns), &row, &end);)
    for (; row < end; row++) scales[row] = row_scale(x + row * columns, columns, (float)a[6]);
  team_barrier(w);
  isize grain = row_grain(rows);
  for (isize i, end; team_range(w, columns, (grain + 15) / 16 * 16, &i, &end);)
    for (; i < end; i += 16) {
      isize n = min16(end - i);
      f32x16 s = set16(0.0f);
      for (isize row = 0; row < rows; row++) {
        isize at = row * columns + i;
        s = fma16(load16_first(dy + at, n, 0.0f), load16_first(x + at, n, 0.0f) * set16(scales[row]), s);
      }
      store16_first(dWeight + i, s, n);
    }
}
