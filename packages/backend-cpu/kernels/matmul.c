/* c[b] = op(a[b]) op(b[b]): gemm.h has the tile and the order of sums, product.h the threads. */
#include "product.h"

static void strip(const product *p, const float *apack, isize i, isize rows, isize j, isize columns, isize k,
                  isize depth) {
  matrix b = at(p->b, k, j);
  float *c = p->c + i * p->n + j;
  /* Few rows do not pay for a copy of what lies in order already. */
  if (b.columnStride == 1 && rows <= 2 * MR && columns % VL == 0) {
    multiply(apack, b.data, NR, b.rowStride, c, p->n, rows, columns, depth, k == 0);
    return;
  }
  _Alignas(64) float packed[KC * STRIP];
  pack_b(packed, b, depth, columns);
  multiply(apack, packed, depth * NR, NR, c, p->n, rows, columns, depth, k == 0);
}

KERNEL(matmul) {
  product p = {.c = F32(a[0]), .m = SIZE(a[5]), .n = SIZE(a[6]), .k = SIZE(a[7])};
  isize batch = SIZE(a[4]);
  p.a.data = F32(a[1]);
  p.b.data = F32(a[2]);
  p.a.rowStride = a[8] != 0 ? 1 : p.k;
  p.a.columnStride = a[8] != 0 ? p.m : 1;
  p.b.rowStride = a[9] != 0 ? 1 : p.n;
  p.b.columnStride = a[9] != 0 ? p.k : 1;
  multiply_batch(w, &p, batch, a[10] != 0 ? p.m * p.k : 0, a[11] != 0 ? p.k * p.n : 0, F32(a[3]));
}
