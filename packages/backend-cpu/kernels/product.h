/*
 * A product shared out to threads; what B is, and how a strip of it is packed, is the caller's.
 *
 * Two ways to share the work out. `together`, for one large product: all threads pack a block of A, then take strips of
 * columns; the next block is packed beside, so that one barrier a block is enough. `alone`, for batches and few rows:
 * a chunk packs what it needs itself, and there is no barrier.
 */
#ifndef LOWRANK_PRODUCT_H
#define LOWRANK_PRODUCT_H

#include "gemm.h"

/* Rows of A that are packed at a time: [1024, KC] is 1 MiB. These sizes stand in src/kernels/matmul.ts too. */
#define MC 1024
/* Up to so many rows are not worth sharing A's panels; a thread packs its own. */
#define MC_ALONE 32
/* Of a batch a chunk takes up to so many rows. */
#define MC_BATCH 128

typedef struct product {
  matrix a, b; /* a [m, k]; b [k, n] where it is dense */
  float *c;
  isize m, n, k;
  int adds; /* sums go on from what c holds */
  const struct weight *weight; /* else it is block-quantized */
} product;

INLINE matrix at(matrix x, isize row, isize column) {
  x.data += row * x.rowStride + column * x.columnStride;
  return x;
}

/* Rows [i, i + rows) of strip [j, j + columns): `depth` steps from k on. a holds those rows' panels where aRow is 0, else
   the rows themselves. */
static void strip(const product *p, const float *a, isize aRow, isize i, isize rows, isize j, isize columns, isize k,
                  isize depth);

static void alone(worker *w, const product *all, isize batch, isize strideA, isize strideB, float *scratch) {
  isize m = all->m, n = all->n, k = all->k;
  isize parts = divide_up(m, MC_BATCH);
  isize rows = divide_up(divide_up(m, parts), MR) * MR;
  isize strips = divide_up(n, STRIP);
  /* A chunk is worth about 2^18 multiply-adds: some strips, or some products. */
  isize each = (isize)((1 << 18) / ((i64)rows * (k + 1) * STRIP)) + 1;
  if (each > strips) each = strips;
  isize groups = divide_up(strips, each);
  isize perChunk = 1;
  if (groups == 1 && parts == 1) perChunk = min_size(batch, (isize)((1 << 18) / ((i64)m * n * (k + 1))) + 1);
  isize chunks = divide_up(batch * parts * groups, perChunk);
  /* Few rows do not pay for packing where k lies in order. */
  int direct = all->a.columnStride == 1 && rows <= 2 * MR;
  float *apack = scratch + w->index * (MC_BATCH + MR) * KC;
  for (isize chunk; (chunk = team_next(w, chunks)) >= 0;)
    for (isize task = chunk * perChunk; task < min_size(batch * parts * groups, (chunk + 1) * perChunk); task++) {
      isize b = task / (parts * groups), part = task / groups % parts, group = task % groups;
      product p = *all;
      p.a.data += b * strideA;
      p.b.data += b * strideB;
      p.c += b * m * n;
      isize i = part * rows, height = min_size(rows, m - i);
      isize end = min_size(n, (group + 1) * each * STRIP);
      isize step = 0;
      do {
        isize depth = min_size(KC, k - step);
        matrix a = at(p.a, i, step);
        if (!direct) pack_a(apack, a, height, depth);
        for (isize j = group * each * STRIP; j < end; j += STRIP)
          strip(&p, direct ? a.data : apack, direct ? a.rowStride : 0, i, height, j, min_size(STRIP, end - j), step,
                depth);
        step += depth;
      } while (step < k);
    }
}

static void together(worker *w, const product *p, float *scratch) {
  isize m = p->m, n = p->n, k = p->k;
  isize strips = divide_up(n, STRIP);
  isize steps = k == 0 ? 1 : divide_up(k, KC);
  isize blocks = divide_up(m, MC);
  isize height = divide_up(divide_up(m, blocks), MR) * MR;
  blocks = divide_up(m, height);
  /* At least some 16 chunks a phase, of at least 64 rows. */
  isize parts = min_size(divide_up(16, strips), divide_up(height, 64));
  isize rows = divide_up(divide_up(height, parts), MR) * MR;
  parts = divide_up(height, rows);
  /* Packing goes by 64 rows or so. */
  isize packRows = divide_up(64, MR) * MR;
  isize packs = divide_up(height, packRows);
  isize phases = blocks * steps;
  isize bufferSize = height * KC;
  /* Phase -1 packs the first block; each phase multiplies one and packs the next. */
  for (isize phase = -1; phase < phases; phase++) {
    isize tiles = phase < 0 ? 0 : strips * parts;
    isize chunks = tiles + (phase + 1 < phases ? packs : 0);
    for (isize chunk; (chunk = team_next(w, chunks)) >= 0;) {
      if (chunk < tiles) {
        isize top = phase / steps * height, step = phase % steps * KC;
        isize depth = min_size(KC, k - step);
        isize j = chunk / parts * STRIP, i = chunk % parts * rows;
        isize count = min_size(rows, min_size(height, m - top) - i);
        if (count > 0)
          strip(p, scratch + (phase & 1) * bufferSize + i * depth, 0, top + i, count, j, min_size(STRIP, n - j), step,
                depth);
      } else {
        isize next = phase + 1;
        isize top = next / steps * height, step = next % steps * KC;
        isize depth = min_size(KC, k - step);
        isize i = (chunk - tiles) * packRows;
        isize count = min_size(packRows, min_size(height, m - top) - i);
        if (count > 0)
          pack_a(scratch + (next & 1) * bufferSize + i * depth, at(p->a, top + i, step), count, depth);
      }
    }
    if (phase + 1 < phases) team_barrier(w);
  }
}

INLINE void multiply_batch(worker *w, const product *p, isize batch, isize strideA, isize strideB, float *scratch) {
  if (batch == 0 || p->m == 0 || p->n == 0) return;
  if (batch > 1 || p->m <= MC_ALONE)
    alone(w, p, batch, strideA, strideB, scratch);
  else
    together(w, p, scratch);
}

#endif
