/*
 * Products of a LoRA: with few columns, few rows or few steps of k nothing is used often enough to be packed whole, and most of the
 * time goes to what is long. The order of sums is gemm.h's.
 */
#ifndef LOWRANK_LOW_RANK_H
#define LOWRANK_LOW_RANK_H

#include "product.h"

/* Rows of a chunk where C is narrow. */
#define NARROW 128

/* At most NR columns (a LoRA's A): each element of A is used but once or twice, so it is not packed. */
static void narrow(worker *w, const product *p) {
  isize m = p->m, n = p->n, k = p->k, stride = p->a.rowStride;
  for (isize top, end; team_range(w, m, NARROW, &top, &end);) {
    _Alignas(64) float packed[KC * NR], sums[NARROW * NR];
    if (p->adds)
      for (isize i = top; i < end; i++)
        for (isize j = 0; j < NR; j++) sums[(i - top) * NR + j] = j < n ? p->c[i * n + j] : 0.0f;
    for (isize step = 0; step == 0 || step < k; step += KC) {
      isize depth = min_size(KC, k - step);
      pack_b_panel(packed, at(p->b, step, 0), depth, n);
      for (isize i = top; i < end; i += MR) {
        /* Short pieces of rows that lie far apart: a processor does not foresee them. */
        if (i + 2 * MR <= end)
          for (isize r = MR; r < 2 * MR; r++)
            for (isize j = 0; j < depth; j += 16) prefetch(p->a.data + (i + r) * stride + step + j);
        any_tile(min_size(MR, end - i), n <= VL ? 1 : 2, depth, p->a.data + i * stride + step, stride, packed, NR,
                 sums + (i - top) * NR, NR, step == 0 && !p->adds);
      }
    }
    for (isize i = top; i < end; i++)
      for (isize j = 0; j < n; j++) p->c[i * n + j] = sums[(i - top) * NR + j];
  }
}

/* Steps of k in a block of the flat case, and columns of a chunk: in pieces of rows that are shorter a processor does not foresee
   what comes next. */
#define SHALLOW 16
#define FLAT 384

/* Few rows of A, and B's rows as they lie, with c's element (i, j) at c[i * rowStride + j * columnStride]: a LoRA's gradients dh^T x
   and, turned, dy^T h = (h^T dy)^T. */
static __attribute__((noinline)) void flat(worker *w, const product *p, matrix a, isize m, const float *b, isize n, float *c,
                                           isize rowStride, isize columnStride) {
  isize k = p->k, width = divide_up(n, 2 * divide_up(n, 2 * FLAT) * VL) * VL;
  for (isize left, end; team_range(w, n, width, &left, &end);) {
    _Alignas(64) float packed[SHALLOW * 2 * MR], sums[2 * MR * FLAT];
    if (p->adds)
      for (isize i = 0; i < m; i++)
        for (isize j = left; j < end; j++) sums[i * FLAT + j - left] = c[i * rowStride + j * columnStride];
    for (isize step = 0; step == 0 || step < k; step += SHALLOW) {
      isize depth = min_size(SHALLOW, k - step);
      pack_a(packed, at(a, 0, step), m, depth);
      multiply(packed, 0, b + step * n + left, NR, n, sums, FLAT, m, end - left, depth, step == 0 && !p->adds);
    }
    for (isize i = 0; i < m; i++)
      for (isize j = left; j < end; j++) c[i * rowStride + j * columnStride] = sums[i * FLAT + j - left];
  }
}

/* Depth of a product of low rank, and how much of B is packed for some of its rows. */
#define LOW 64
#define LOW_B (4 * 1024)

/* Few steps of k (h B^T of a LoRA's forward, dh A of its backward): most of the time goes to C, which is taken row by row. */
static __attribute__((noinline)) void widening(worker *w, const product *p) {
  isize m = p->m, n = p->n, k = p->k, stride = p->a.rowStride;
  isize most = LOW_B / (k * NR) * NR;
  isize grain = divide_up(1 << 19, MR * n * (k + 1)) * MR;
  for (isize top, end; team_range(w, m, grain, &top, &end);) {
    _Alignas(64) float packed[LOW_B];
    for (isize j = 0; j < n; j += most) {
      isize columns = min_size(most, n - j);
      pack_b(packed, at(p->b, 0, j), k, columns);
      for (isize i = top; i < end; i += MR)
        multiply(p->a.data + i * stride, stride, packed, k * NR, NR, p->c + i * n + j, n, min_size(MR, end - i), columns, k,
                 !p->adds);
    }
  }
}

#endif
