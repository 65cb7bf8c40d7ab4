/*
 * A product with operands rounded to bf16, shared out to threads; how a strip of B is packed is the caller's. As in
 * ../product.h there are two ways: `together` all threads pack a block of A and then take strips of columns, while the next
 * block is packed beside; `alone`, for batches and few columns, a chunk packs what it needs itself.
 */
#ifndef LOWRANK_BF16_PRODUCT_H
#define LOWRANK_BF16_PRODUCT_H

#include "tile.h"

/* Steps of k and rows of A that are packed at a time; these sizes stand in src/kernels/bf16-packing.ts too. A strip of B is then at
   most 40 KiB, a block of A 1.25 MiB. */
#define DEPTH 640
#define ROWS 1024
#define ROWS_ALONE 64
/* Up to so many columns are not worth sharing A. */
#define NARROW (2 * STRIP)

typedef struct product {
  operand a, b; /* a [m, k]; b [k, n] where it is dense */
  float *c;
  isize m, n, k;
  const struct weight *weight; /* else it is block-quantized */
} product;

/* Packs columns [j, j + columns) of steps [k, k + steps) of B as a strip. */
static void pack_strip(const product *p, bf16 *target, isize j, isize columns, isize k, isize steps);

/* The steps of k in equal parts, each a whole number of tiles. */
INLINE isize depth_of(isize k) { return k == 0 ? STEPS : round_up(divide_up(k, divide_up(k, DEPTH)), STEPS); }

/* Rows [i, i + rows), packed at a, times strips from column j up to `end`. */
static void strips_of(const product *p, const bf16 *a, isize i, isize rows, isize j, isize end, isize k, isize steps) {
  _Alignas(64) bf16 packed[DEPTH * STRIP];
  for (; j < end; j += STRIP) {
    isize columns = min_size(STRIP, end - j);
    pack_strip(p, packed, j, columns, k, steps);
    multiply(a, packed, p->c + i * p->n + j, p->n, rows, columns, steps, k == 0);
  }
}

static void alone(worker *w, const product *all, isize batch, isize strideA, isize strideB, char *scratch) {
  isize m = all->m, n = all->n, k = all->k, depth = depth_of(k);
  isize parts = divide_up(m, ROWS_ALONE);
  bf16 *packed = (bf16 *)scratch + w->index * ROWS_ALONE * DEPTH;
  /* A chunk is worth about 2^20 multiply-adds. */
  isize grain = (1 << 20) / (min_size(m, ROWS_ALONE) * n * (k + 1)) + 1;
  for (isize task, end; team_range(w, batch * parts, grain, &task, &end);)
    for (; task < end; task++) {
      product p = *all;
      p.a.data += task / parts * strideA;
      p.b.data += task / parts * strideB;
      p.c += task / parts * m * n;
      isize i = task % parts * ROWS_ALONE, rows = min_size(ROWS_ALONE, m - i);
      for (isize step = 0; step == 0 || step < k; step += depth) {
        isize steps = min_size(depth, k - step);
        pack_a(packed, at(p.a, i, step), rows, steps);
        strips_of(&p, packed, i, rows, 0, n, step, steps);
      }
    }
}

static void together(worker *w, const product *p, char *scratch) {
  isize m = p->m, n = p->n, k = p->k, depth = depth_of(k);
  isize steps = k == 0 ? 1 : divide_up(k, depth);
  isize height = round_up(divide_up(m, divide_up(m, ROWS)), 2 * LINES);
  isize blocks = divide_up(m, height);
  /* A chunk of few rows takes several strips, of 2^19 multiply-adds or so; with few strips the rows are divided. */
  isize width = min_size(divide_up(n, STRIP), (1 << 19) / (height * depth * STRIP) + 1) * STRIP;
  isize strips = divide_up(n, width);
  isize parts = min_size(divide_up(16, strips), divide_up(height, 4 * LINES));
  isize rows = round_up(divide_up(height, parts), 2 * LINES);
  parts = divide_up(height, rows);
  isize packRows = 4 * LINES, packs = divide_up(height, packRows);
  isize phases = blocks * steps;
  /* Phase -1 packs the first block; each phase multiplies one and packs the next. */
  for (isize phase = -1; phase < phases; phase++) {
    isize tasks = phase < 0 ? 0 : strips * parts;
    isize chunks = tasks + (phase + 1 < phases ? packs : 0);
    for (isize chunk; (chunk = team_next(w, chunks)) >= 0;) {
      int packing = chunk >= tasks;
      isize of = packing ? phase + 1 : phase;
      isize top = of / steps * height, step = of % steps * depth;
      isize count = min_size(depth, k - step);
      isize i = packing ? (chunk - tasks) * packRows : chunk % parts * rows;
      isize number = min_size(packing ? packRows : rows, min_size(height, m - top) - i);
      bf16 *packed = (bf16 *)scratch + (of & 1) * height * DEPTH + i * round_up(count, STEPS);
      if (number <= 0) continue;
      if (packing) {
        pack_a(packed, at(p->a, top + i, step), number, count);
      } else {
        isize j = chunk / parts * width;
        strips_of(p, packed, top + i, number, j, min_size(n, j + width), step, count);
      }
    }
    if (phase + 1 < phases) team_barrier(w);
  }
}

INLINE void multiply_batch(worker *w, const product *p, isize batch, isize strideA, isize strideB, char *scratch) {
  if (batch == 0 || p->m == 0 || p->n == 0) return;
  tiles_begin();
  if (batch > 1 || p->n <= NARROW) alone(w, p, batch, strideA, strideB, scratch);
  else together(w, p, scratch);
  tiles_end();
}

#endif
