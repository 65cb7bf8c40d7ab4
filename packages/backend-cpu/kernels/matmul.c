/* c[b] = op(a[b]) op(b[b]): gemm.h has the tile and the order of sums, product.h the threads. */
#include "few-rows.h"
#include "low-rank.h"

static void strip(const product *p, const float *a, isize aRow, isize i, isize rows, isize j, isize columns, isize k,
                  isize depth) {
  matrix b = at(p->b, k, j);
  float *c = p->c + i * p->n + j;
  /* Few rows do not pay for a copy of what lies in order already. */
  if (b.columnStride == 1 && rows <= 2 * MR && columns % VL == 0) {
    multiply(a, aRow, b.data, NR, b.rowStride, c, p->n, rows, columns, depth, k == 0 && !p->adds);
    return;
  }
  _Alignas(64) float packed[KC * STRIP];
  pack_b(packed, b, depth, columns);
  multiply(a, aRow, packed, depth * NR, NR, c, p->n, rows, columns, depth, k == 0 && !p->adds);
}

/* A frozen weight [n, k] that is multiplied by a generated token. */
static void turn_dense(const void *b, isize row, isize rows, isize first, isize count, float *y, isize to) {
  const matrix *B = b;
  turn_floats(B->data, B->columnStride, row, rows, first, count, y, to);
}

static void multiply_dense(const void *b, isize row, isize vectors, const float *x, const u8 *ahead, float *sums) {
  const matrix *B = b;
  isize columns = B->columnStride, stride = columns * (isize)sizeof(float);
  const u8 *data = (const u8 *)(B->data + row * columns);
  foresight next = foresight_of(ahead, VL * 16);
  for (isize k = 0; k < columns; k += 4)
    for (isize r = 0; r < vectors; r++) {
      foresee(&next);
      vu q[4];
      words_of_rows(data + r * VL * stride + k * (isize)sizeof(float), stride, q);
      vf sum = vload(sums + r * VL);
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) sum = vfma(vset(x[k + i]), (vf)q[i], sum);
      vstore(sums + r * VL, sum);
    }
}

KERNEL(matmul) {
  product p = {.c = F32(a[0]), .m = SIZE(a[5]), .n = SIZE(a[6]), .k = SIZE(a[7]), .adds = a[12] != 0};
  isize batch = SIZE(a[4]);
  int transposeA = a[8] != 0, transposeB = a[9] != 0;
  p.a = transposeA ? (matrix){F32(a[1]), 1, p.m} : (matrix){F32(a[1]), p.k, 1};
  p.b = transposeB ? (matrix){F32(a[2]), 1, p.k} : (matrix){F32(a[2]), p.n, 1};
  /* Turning a low rank's few steps of k takes longer than several rows' products; for one row they are not turned into memory. */
  if (batch == 1 && p.m <= FEW && (p.m == 1 || p.k > LOW) && !transposeA && transposeB && p.n >= WIDE) {
    row_source rows = {&p.b, turn_dense, p.k % 4 == 0 ? multiply_dense : 0, (const u8 *)p.b.data, p.k * (isize)sizeof(float)};
    few_rows(w, rows, p.n, p.k, p.a.data, p.m, p.c, p.adds);
  } else if (batch == 1 && p.n <= NR && !transposeA && p.m >= NARROW)
    narrow(w, &p);
  else if (batch == 1 && p.n <= 2 * MR && transposeA && p.m >= NARROW && p.m % VL == 0)
    flat(w, &p, (matrix){p.b.data, p.b.columnStride, p.b.rowStride}, p.n, p.a.data, p.m, p.c, 1, p.n);
  else if (batch == 1 && p.m <= 2 * MR && transposeA && !transposeB && p.n >= NARROW && p.n % VL == 0)
    flat(w, &p, p.a, p.m, p.b.data, p.n, p.c, p.n, 1);
  else if (batch == 1 && !transposeA && p.m > MC_ALONE && p.n > 0 && p.k > 0 && p.k <= LOW)
    widening(w, &p);
  else
    multiply_batch(w, &p, batch, a[10] != 0 ? p.m * p.k : 0, a[11] != 0 ? p.k * p.n : 0, F32(a[3]));
}
