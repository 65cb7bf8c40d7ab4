/*
 * y = x W^T or x W with W [rows, columns] in blocks, which are decoded and rounded to bf16 while B is packed: the
 * bits of a matmul with the decoded matrix.
 */
#include "../blocks.h"
#include "product.h"

/* Steps that are decoded at a time. */
#define SOME 256

static void pack_strip(const product *p, bf16 *target, isize j, isize columns, isize k, isize steps) {
  if (p->b.lineStride == 1) {
    /* x W: k runs down W's rows, of which a strip's 32 columns are a group. */
    _Alignas(64) float decoded[STEPS * STRIP];
    for (isize step = 0; step < steps; step += STEPS, target += 2 * TILE) {
      isize count = min_size(STEPS, steps - step);
      decode(p->weight, k + step, count, j, columns, decoded, STRIP);
      for (isize q = 0; q < columns; q += LINES)
        pack_b(target + q / LINES * TILE, (operand){decoded + q, 1, STRIP}, columns - q, count);
    }
    return;
  }
  /* x W^T: 16 of W's rows at a time. */
  _Alignas(64) float decoded[LINES * SOME];
  for (isize q = 0; q < columns; q += LINES, target += TILE)
    for (isize step = 0; step < steps; step += SOME) {
      isize lines = min_size(LINES, columns - q), count = min_size(SOME, steps - step);
      decode(p->weight, j + q, lines, k + step, count, decoded, SOME);
      pack_b(target + step / STEPS * 2 * TILE, (operand){decoded, SOME, 1}, lines, count);
    }
}

KERNEL(matmulQuantized) {
  int transposed = a[8] != 0;
  isize m = SIZE(a[5]), rows = SIZE(a[6]), columns = SIZE(a[7]);
  product p = {.c = F32(a[0]), .m = m, .n = transposed ? columns : rows, .k = transposed ? rows : columns, .adds = a[9] != 0};
  p.a = (operand){F32(a[1]), p.k, 1};
  p.b = transposed ? (operand){0, 1, columns} : (operand){0, columns, 1};
  weight decoded = weight_of((int)a[4], U8(a[2]), rows, columns);
  p.weight = &decoded;
  multiply_batch(w, &p, 1, 0, 0, ADDRESS(a[3]));
}
