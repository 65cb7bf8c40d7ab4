/*
 * Cross-entropy of logits against target columns: loss = log(sum(exp(x - max))) - (x[target] - max), 0 where the target
 * is negative; and its gradient (exp(x - logSumExp) - onehot) dLoss. A target past the last column is reported and its
 * loss and gradient are NaN.
 */
#include "rows.h"

KERNEL(crossEntropy) {
  isize columns = SIZE(a[5]);
  float *losses = F32(a[0]), *logSumExp = F32(a[1]);
  const i32 *targets = I32(a[3]);
  for (isize row, end; team_range(w, SIZE(a[4]), row_grain(columns), &row, &end);)
    for (; row < end; row++) {
      const float *x = F32(a[2]) + row * columns;
      float shift = row_max(x, columns);
      float logSum = log16(set16(row_sum_exp(x, columns, shift)))[0];
      logSumExp[row] = shift + logSum;
      losses[row] = 0.0f;
      if (targets[row] >= columns) {
        team_fail(w, (double)targets[row]);
        losses[row] = __builtin_nanf("");
      } else if (targets[row] >= 0) {
        losses[row] = logSum - (x[targets[row]] - shift);
      }
    }
}

KERNEL(crossEntropyBackward) {
  isize columns = SIZE(a[6]);
  const i32 *targets = I32(a[2]);
  const float *logSumExp = F32(a[3]), *dLosses = F32(a[4]);
  for (isize row, end; team_range(w, SIZE(a[5]), row_grain(columns), &row, &end);)
    for (; row < end; row++) {
      float *dx = F32(a[0]) + row * columns;
      const float *x = F32(a[1]) + row * columns;
      isize target = targets[row];
      if (target >= columns) team_fail(w, (double)target);
      if (target < 0 || target >= columns) {
        for (isize i = 0; i < columns; i += 16) store16_first(dx + i, set16(target < 0 ? 0.0f : __builtin_nanf("")), min16(columns - i));
        continue;
      }
      f32x16 shift = set16(logSumExp[row]), scale = set16(dLosses[row]);
      for (isize i = 0; i < columns; i += 16) {
        isize n = min16(columns - i);
        store16_first(dx + i, exp16(load16_first(x + i, n, 0.0f) - shift) * scale, n);
      }
      dx[target] = (exp16(set16(x[target] - logSumExp[row]))[0] - 1.0f) * dLosses[row];
    }
}
