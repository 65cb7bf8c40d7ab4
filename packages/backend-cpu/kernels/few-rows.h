/*
 * x W^T for a few rows of x: a generated token. Nothing is used often enough to be packed for, so W's rows are decoded side by
 * side, WIDE of them, and multiplied at once. The order of sums is gemm.h's.
 */
#ifndef LOWRANK_FEW_ROWS_H
#define LOWRANK_FEW_ROWS_H

#include "gemm.h"
#include "lanes.h"

/* More rows are worth gemm.h's tiles. */
#define FEW 4
/* Rows of W at a time: four chains hide a multiply-add's latency. */
#define WIDE (4 * VL)
/* Columns of them: [DEEP, WIDE] stays in the first-level cache. */
#define DEEP 96
/* Weights of a chunk. */
#define WORTH (1 << 16)

/* y [WIDE] gets `depth` more steps: those of x times b's rows. */
INLINE void few_steps(const float *x, const float *b, isize depth, float *y, int fresh) {
  vf s[4];
  for (int j = 0; j < 4; j++) s[j] = fresh ? vset(0.0f) : vload(y + j * VL);
#pragma clang loop unroll_count(4)
  for (isize k = 0; k < depth; k++) {
    vf xk = vset(x[k]);
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) s[j] = vfma(xk, vload(b + k * WIDE + j * VL), s[j]);
  }
  for (int j = 0; j < 4; j++) vstore(y + j * VL, s[j]);
}

/* y [m, rows] = x [m, columns] W^T. */
static void few_rows(worker *w, const weight *W, isize rows, const float *x, isize m, float *y) {
  isize columns = W->columns, grain = WIDE * divide_up(WORTH, WIDE * (columns + 1));
  for (isize row, end; team_range(w, rows, grain, &row, &end);)
    for (; row < end; row += WIDE) {
      _Alignas(64) float decoded[DEEP * WIDE], sums[FEW * WIDE];
      isize count = min_size(WIDE, end - row);
      for (isize step = 0; step == 0 || step < columns; step += DEEP) {
        isize depth = min_size(DEEP, columns - step);
        decode_turned(W, row, count, step, depth, decoded, WIDE);
        for (isize i = 0; i < m; i++) few_steps(x + i * columns + step, decoded, depth, sums + i * WIDE, step == 0);
      }
      for (isize i = 0; i < m; i++)
        for (isize j = 0; j < count; j++) y[i * rows + row + j] = sums[i * WIDE + j];
    }
}

#endif
