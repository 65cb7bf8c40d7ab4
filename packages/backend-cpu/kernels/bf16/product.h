/*
 * A product with operands rounded to bf16, shared out to threads; how B is packed is the caller's. `together` all threads pack
 * a block of B, then take rows, which each packs itself, while the next block is packed beside; `alone`, for batches and where
 * there are few rows or columns, a chunk packs what it needs itself.
 */
#ifndef LOWRANK_BF16_PRODUCT_H
#define LOWRANK_BF16_PRODUCT_H

#include "tile.h"

/* These sizes stand in src/kernels/bf16-packing.ts too. A thread packs so many rows of A and steps of k at a time, 384 KiB, which its L2
   holds beside what passes of B. */
#define ROWS 128
#define DEPTH 1536
/* Elements of a block of B, 2 MiB. */
#define BLOCK (1 << 20)
/* Up to so many rows or columns are not worth sharing B; a chunk then takes so many rows and columns. */
#define FEW 64
#define HEIGHT_ALONE 128
#define WIDTH_ALONE 128

typedef struct product {
  operand a, b; /* a [m, k]; b [k, n] where it is dense */
  float *c;
  isize m, n, k;
  int adds; /* sums go on from what c holds */
  const struct weight *weight; /* else it is block-quantized */
} product;

/* Packs columns [j, j + columns) of steps [k, k + steps) of B as a strip. */
static void pack_strip(const product *p, bf16 *target, isize j, isize columns, isize k, isize steps);

/* `total` in equal parts of at most `most`, each a whole number of tiles. */
INLINE isize part_of(isize total, isize most) { return round_up(divide_up(total, divide_up(total, most)), STEPS); }

/* Columns [j, end) of steps [k, k + steps) as strips. */
INLINE void pack_strips(const product *p, bf16 *target, isize j, isize end, isize k, isize steps) {
  for (; j < end; j += STRIP, target += round_up(steps, STEPS) * STRIP)
    pack_strip(p, target, j, min_size(STRIP, end - j), k, steps);
}

/* Rows [i, i + rows) times columns [j, end), both packed. */
INLINE void multiply_strips(const product *p, const bf16 *a, const bf16 *b, isize i, isize rows, isize j, isize end,
                            isize steps, int fresh) {
  for (; j < end; j += STRIP, b += round_up(steps, STEPS) * STRIP)
    multiply(a, b, p->c + i * p->n + j, p->n, rows, min_size(STRIP, end - j), steps, fresh);
}

static void alone(worker *w, const product *all, isize batch, isize strideA, isize strideB, char *scratch) {
  isize m = all->m, n = all->n, k = all->k, depth = k == 0 ? STEPS : part_of(k, DEPTH);
  bf16 *packedA = (bf16 *)scratch + w->index * (HEIGHT_ALONE + WIDTH_ALONE) * DEPTH;
  bf16 *packedB = packedA + HEIGHT_ALONE * DEPTH;
  isize parts = divide_up(m, HEIGHT_ALONE), groups = divide_up(n, WIDTH_ALONE);
  /* To pack an element takes about as long as 64 multiply-adds; a chunk is worth about 2^23. */
  isize height = min_size(m, HEIGHT_ALONE), width = min_size(n, WIDTH_ALONE);
  isize grain = (1 << 23) / ((height * width + 64 * (height + width)) * (k + 1)) + 1;
  for (isize task, last; team_range(w, batch * parts * groups, grain, &task, &last);)
    for (; task < last; task++) {
      isize number = task / (parts * groups), i = task / groups % parts * HEIGHT_ALONE;
      isize j = task % groups * WIDTH_ALONE, rows = min_size(HEIGHT_ALONE, m - i), end = min_size(n, j + WIDTH_ALONE);
      product p = *all;
      p.a.data += number * strideA;
      p.b.data += number * strideB;
      p.c += number * m * n;
      for (isize step = 0; step == 0 || step < k; step += depth) {
        isize steps = min_size(depth, k - step);
        pack_a(packedA, at(p.a, i, step), rows, steps);
        pack_strips(&p, packedB, j, end, step, steps);
        multiply_strips(&p, packedA, packedB, i, rows, j, end, steps, step == 0 && !p.adds);
      }
    }
}

static void together(worker *w, const product *p, char *scratch) {
  isize m = p->m, n = p->n, k = p->k, depth = k == 0 ? STEPS : part_of(k, DEPTH);
  isize width = part_of(n, BLOCK / depth / STRIP * STRIP);
  isize steps = k == 0 ? 1 : divide_up(k, depth), phases = steps * divide_up(n, width);
  isize rows = min_size(ROWS, round_up(divide_up(m, 16), 2 * LINES));
  isize parts = divide_up(m, rows);
  /* Few rows are shared out by columns, too. */
  isize columns = part_of(width, divide_up(width, divide_up(8, parts)));
  isize groups = divide_up(width, columns);
  /* B is packed as it lies: by steps of k where columns lie in order, else by columns. */
  int bySteps = p->b.lineStride == 1;
  isize packs = divide_up(bySteps ? depth : width, STEPS);
  bf16 *blocks = (bf16 *)scratch, *packedA = blocks + 2 * BLOCK + w->index * ROWS * DEPTH;
  /* Phase -1 packs the first block; each phase multiplies one and packs the next. */
  for (isize phase = -1; phase < phases; phase++) {
    isize tasks = phase < 0 ? 0 : parts * groups;
    isize chunks = tasks + (phase + 1 < phases ? packs : 0);
    for (isize chunk; (chunk = team_next(w, chunks)) >= 0;) {
      isize of = chunk < tasks ? phase : phase + 1;
      isize j = of / steps * width, end = min_size(n, j + width);
      isize step = of % steps * depth, count = min_size(depth, k - step);
      bf16 *packed = blocks + (of & 1) * BLOCK;
      if (chunk < tasks) {
        isize i = chunk / groups * rows, number = min_size(rows, m - i);
        isize first = chunk % groups * columns, q = j + first;
        if (q >= end) continue;
        pack_a(packedA, at(p->a, i, step), number, count);
        multiply_strips(p, packedA, packed + first * round_up(count, STEPS), i, number, q, min_size(end, q + columns), count,
                        step == 0 && !p->adds);
      } else if (bySteps) {
        isize first = (chunk - tasks) * STEPS;
        for (isize q = j; q < end && first < count; q += STRIP)
          pack_strip(p, packed + (q - j) * round_up(count, STEPS) + first * STRIP, q, min_size(STRIP, end - q), step + first,
                     min_size(STEPS, count - first));
      } else {
        isize q = j + (chunk - tasks) * STRIP;
        if (q < end)
          pack_strip(p, packed + (q - j) * round_up(count, STEPS), q, min_size(STRIP, end - q), step, count);
      }
    }
    if (phase + 1 < phases) team_barrier(w);
  }
}

INLINE void multiply_batch(worker *w, const product *p, isize batch, isize strideA, isize strideB, char *scratch) {
  if (batch == 0 || p->m == 0 || p->n == 0) return;
  tiles_begin();
  /* B's rows, where k runs down them, are read from end to end, however few A's are: parts of rows are slow to come by. */
  if (batch > 1 || p->n <= FEW || (p->m <= FEW && p->b.stepStride == 1)) alone(w, p, batch, strideA, strideB, scratch);
  else together(w, p, scratch);
  tiles_end();
}

#endif
