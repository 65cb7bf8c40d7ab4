/* c[b] = op(a[b]) op(b[b]): gemm.h has the tile and the order of sums, product.h the threads. */
#include "few-rows.h"
#include "product.h"

/* Rows of a chunk where C is narrow. */
#define NARROW 128

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

/* A frozen weight [n, k] that is multiplied by a generated token. */
static void turn_dense(const void *b, isize row, isize rows, isize first, isize count, float *y, isize to) {
  const matrix *B = b;
  turn_floats(B->data, B->columnStride, row, rows, first, count, y, to);
}

/* sums += `vectors` * VL rows of B from `row` on times x. */
INLINE void add_dense(const matrix *B, isize row, isize vectors, const float *x, foresight next, float *sums) {
  isize columns = B->columnStride, stride = columns * (isize)sizeof(float);
  const u8 *data = (const u8 *)(B->data + row * columns);
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

static void multiply_dense(const void *b, isize row, isize vectors, const float *x, const u8 *ahead, float *sums) {
  for (isize r = 0; r < vectors; r++) vstore(sums + r * VL, vset(0.0f));
  add_dense(b, row, vectors, x, foresight_of(ahead, VL * 16), sums);
}

/* A LoRA's h B^T of a generated token, added to what is there. */
static void add_row(worker *w, const product *p) {
  for (isize row, end; team_range(w, p->n, divide_up(WORTH, WIDE * (p->k + 1)) * WIDE, &row, &end);)
    for (; row < end; row += WIDE)
      add_dense(&p->b, row, min_size(WIDE, end - row) / VL, p->a.data, foresight_of((const u8 *)p->b.data, 0), p->c + row);
}

KERNEL(matmul) {
  product p = {.c = F32(a[0]), .m = SIZE(a[5]), .n = SIZE(a[6]), .k = SIZE(a[7]), .adds = a[12] != 0};
  isize batch = SIZE(a[4]);
  int transposeA = a[8] != 0, transposeB = a[9] != 0;
  p.a = transposeA ? (matrix){F32(a[1]), 1, p.m} : (matrix){F32(a[1]), p.k, 1};
  p.b = transposeB ? (matrix){F32(a[2]), 1, p.k} : (matrix){F32(a[2]), p.n, 1};
  if (batch == 1 && p.m <= FEW && !transposeA && transposeB && p.n >= WIDE && !p.adds) {
    row_source rows = {&p.b, turn_dense, p.k % 4 == 0 ? multiply_dense : 0, (const u8 *)p.b.data, p.k * (isize)sizeof(float)};
    few_rows(w, rows, p.n, p.k, p.a.data, p.m, p.c);
  } else if (batch == 1 && p.m == 1 && transposeB && p.n % VL == 0 && p.k % 4 == 0 && p.adds)
    add_row(w, &p);
  else if (batch == 1 && p.n <= NR && !transposeA && p.m >= NARROW)
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
