/*
 * y = x W^T or x W with W [rows, columns] in blocks. Blocks are decoded while B is packed, so the product
 * has the bits of a matmul with the decoded matrix, of which no more than a strip exists at a time.
 */
#include "few-rows.h"
#include "lanes.h"
#include "product.h"

static void strip(const product *p, const float *a, isize aRow, isize i, isize rows, isize j, isize columns, isize k,
                  isize depth) {
  _Alignas(64) float packed[KC * STRIP];
  if (p->b.columnStride == 1) {
    /* x W: k runs down W's rows. The strip's 32 columns are one group of each row, cut into panels. */
#if NR == STRIP
    decode(p->weight, k, depth, j, columns, packed, STRIP);
    for (isize r = 0; r < depth; r++)
      for (isize q = columns; q < STRIP; q++) packed[r * STRIP + q] = 0.0f;
#else
    _Alignas(64) float group[GROUP * STRIP];
    for (isize r = 0; r < depth; r += GROUP) {
      isize count = min_size(GROUP, depth - r);
      decode(p->weight, k + r, count, j, columns, group, STRIP);
      for (isize q = 0; q < columns; q += NR)
        pack_b_panel(packed + q * depth + r * NR, (matrix){group + q, STRIP, 1}, count, min_size(NR, columns - q));
    }
#endif
  } else {
    /* x W^T: a panel of W's rows at a time, side by side. */
    for (isize q = 0; q < columns; q += NR)
      decode_turned(p->weight, j + q, min_size(NR, columns - q), k, depth, packed + q * depth, NR);
  }
  multiply(a, aRow, packed, depth * NR, NR, p->c + i * p->n + j, p->n, rows, columns, depth, k == 0);
}

static void turn_blocks(const void *W, isize row, isize rows, isize first, isize count, float *y, isize to) {
  decode_turned(W, row, rows, first, count, y, to);
}

KERNEL(matmulQuantized) {
  int transposed = a[8] != 0;
  isize m = SIZE(a[5]), rows = SIZE(a[6]), columns = SIZE(a[7]);
  weight decoded = weight_of((int)a[4], U8(a[2]), rows, columns);
  if (m <= FEW && !transposed) {
    const u8 *bytes = decoded.rowBytes > 0 ? decoded.data : decoded.fourBits.codes;
    isize rowBytes = decoded.rowBytes > 0 ? decoded.rowBytes : columns / 2;
    few_rows(w, (row_source){&decoded, turn_blocks, bytes, rowBytes}, rows, columns, F32(a[1]), m, F32(a[0]));
    return;
  }
  product p = {.c = F32(a[0]), .m = m, .n = transposed ? columns : rows, .k = transposed ? rows : columns};
  p.a = (matrix){F32(a[1]), p.k, 1};
  p.b = transposed ? (matrix){0, columns, 1} : (matrix){0, 1, columns};
  p.weight = &decoded;
  multiply_batch(w, &p, 1, 0, 0, F32(a[3]));
}
