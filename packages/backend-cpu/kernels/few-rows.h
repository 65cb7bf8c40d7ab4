/*
 * x W^T for a few rows of x, or that added to y: a generated token. Nothing is used often enough to be packed for, so some of W's rows are turned side
 * by side and multiplied at once. The order of sums is gemm.h's.
 */
#ifndef LOWRANK_FEW_ROWS_H
#define LOWRANK_FEW_ROWS_H

#include "gemm.h"
#include "turn.h"

/* More rows are worth gemm.h's tiles. */
#define FEW 4
/* Rows of W at a time, in vectors: as many chains hide a multiply-add's latency. Half of them where that shares out better. */
#define MOST_VECTORS 4
#define WIDE (MOST_VECTORS * VL)
/* Columns of them where they are turned for some rows of x: [DEEP, WIDE] stays in the first-level cache. */
#define DEEP 96
/* Least weights of a chunk. */
#define WORTH (1 << 14)

/* What is fetched before it is read, `each` bytes a step: a processor foresees no more than the rows that it is in.
   WebAssembly has no instruction for it but a read. */
typedef struct foresight {
  const u8 *told, *until, *end;
  isize each;
} foresight;
INLINE foresight foresight_of(const u8 *ahead, isize each) {
#if defined(__wasm__)
  return (foresight){ahead, ahead, (const u8 *)(__builtin_wasm_memory_size(0) << 16), each};
#else
  return (foresight){ahead, ahead, 0, each};
#endif
}
INLINE void foresee(foresight *f) {
  f->until += f->each;
  for (; f->told < f->until; f->told += 64)
#if defined(__wasm__)
    if (f->told < f->end) (void)*(const volatile u8 *)f->told;
#else
    __builtin_prefetch(f->told, 0, 2);
#endif
}

/* Where W's rows come from. */
typedef struct row_source {
  const void *matrix;
  /* Writes elements [first, first + count) of `rows` rows from `row` on to y, `to` apart. */
  void (*turn)(const void *matrix, isize row, isize rows, isize first, isize count, float *y, isize to);
  /* sums [vectors * VL] += that many rows from `row` on times x; `ahead` are as many that are likely to follow. Null where
     columns do not come out even. */
  void (*multiply)(const void *matrix, isize row, isize vectors, const float *x, const u8 *ahead, float *sums);
  const u8 *bytes; /* of row 0 */
  isize rowBytes;
} row_source;

/* y [vectors * VL] gets `depth` more steps: those of x times b's rows. */
INLINE void few_steps(int vectors, const float *x, const float *b, isize depth, float *y) {
  vf s[MOST_VECTORS];
#pragma clang loop unroll(full)
  for (int j = 0; j < vectors; j++) s[j] = vload(y + j * VL);
#pragma clang loop unroll_count(4)
  for (isize k = 0; k < depth; k++) {
    vf xk = vset(x[k]);
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) s[j] = vfma(xk, vload(b + (k * vectors + j) * VL), s[j]);
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < vectors; j++) vstore(y + j * VL, s[j]);
}

/* y [m, rows] = x [m, columns] W^T, or what y holds and that. */
INLINE void few_rows(worker *w, row_source W, isize rows, isize columns, const float *x, isize m, float *y, int adds) {
  int vectors = rows >= 24 * WIDE ? MOST_VECTORS : MOST_VECTORS / 2;
  isize wide = vectors * VL, grain = wide * divide_up(WORTH, wide * (columns + 1));
  for (isize row, end; team_range(w, rows, grain, &row, &end);)
    for (; row < end; row += wide) {
      _Alignas(64) float turned[DEEP * WIDE], sums[FEW * WIDE];
      isize count = min_size(wide, end - row);
      for (isize i = 0; i < m; i++) {
        for (int j = 0; j < vectors; j++) vstore(sums + i * WIDE + j * VL, vset(0.0f));
        if (adds)
          for (isize j = 0; j < count; j++) sums[i * WIDE + j] = y[i * rows + row + j];
      }
      /* What this thread is likely to take next. */
      const u8 *ahead = W.bytes + (row + grain * w->count) * W.rowBytes;
      if (m == 1 && count % VL == 0 && W.multiply) {
        W.multiply(W.matrix, row, count / VL, x, ahead, sums);
      } else {
        foresight next = foresight_of(ahead, wide * W.rowBytes * DEEP / (columns + 1));
        for (isize step = 0; step < columns; step += DEEP) {
          isize depth = min_size(DEEP, columns - step);
          foresee(&next);
          W.turn(W.matrix, row, count, step, depth, turned, wide);
          for (isize i = 0; i < m; i++) {
            const float *xi = x + i * columns + step;
            if (vectors == MOST_VECTORS)
              few_steps(MOST_VECTORS, xi, turned, depth, sums + i * WIDE);
            else
              few_steps(MOST_VECTORS / 2, xi, turned, depth, sums + i * WIDE);
          }
        }
      }
      for (isize i = 0; i < m; i++)
        for (isize j = 0; j < count; j++) y[i * rows + row + j] = sums[i * WIDE + j];
    }
}

#endif
