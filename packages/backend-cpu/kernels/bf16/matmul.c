/* c[b] = op(a[b]) op(b[b]) with operands rounded to bf16: tile.h has the order of sums, product.h the threads. */
#include "product.h"

static void pack_strip(const product *p, bf16 *target, isize j, isize columns, isize k, isize steps) {
  for (isize q = 0; q < columns; q += LINES, target += TILE) pack_b(target, at(p->b, j + q, k), columns - q, steps);
}

KERNEL(matmul) {
  product p = {.c = F32(a[0]), .m = SIZE(a[5]), .n = SIZE(a[6]), .k = SIZE(a[7]), .adds = a[12] != 0};
  isize batch = SIZE(a[4]);
  p.a = a[8] != 0 ? (operand){F32(a[1]), 1, p.m} : (operand){F32(a[1]), p.k, 1};
  p.b = a[9] != 0 ? (operand){F32(a[2]), p.k, 1} : (operand){F32(a[2]), 1, p.n};
  multiply_batch(w, &p, batch, a[10] != 0 ? p.m * p.k : 0, a[11] != 0 ? p.k * p.n : 0, ADDRESS(a[3]));
}
