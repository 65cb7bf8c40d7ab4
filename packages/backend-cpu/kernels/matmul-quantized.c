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
  multiply(a, aRow, packed, depth * NR, NR, p->c + i * p->n + j, p->n, rows, columns, depth, k == 0 && !p->adds);
}

static void turn_blocks(const void *W, isize row, isize rows, isize first, isize count, float *y, isize to) {
  decode_turned(W, row, rows, first, count, y, to);
}

/* Formats whose blocks are multiplied as they are decoded. WebAssembly, which every page carries, has them for the usual ones. */
#if defined(__wasm__)
#define FOR_FUSED(X) X(Q4_0, q4_0) X(Q4_1, q4_1) X(Q8_0, q8_0) X(Q4_K, q4_k) X(Q6_K, q6_k)
#define FUSED_FOUR_BIT 0
#else
#define FOR_FUSED FOR_FORMATS
#define FUSED_FOUR_BIT 1
#endif
static int is_fused(const weight *w) {
  if (w->columns % GROUP != 0) return 0;
  switch (w->format) {
#define CASE(name, function) case name:
    FOR_FUSED(CASE)
#undef CASE
    return 1;
    default: return FUSED_FOUR_BIT && (w->format == NF4 || w->format == FP4);
  }
}

/* Groups of some vectors in turns: their chains of additions run beside each other. */
#define EACH_GROUP(lanes) \
  for (isize g = 0; g < groups; g++) \
    for (isize r = 0; r < vectors; r++) { \
      foresee(&next); \
      vf sum = vload(sums + r * VL); \
      lanes_out out = {.x = x + g * GROUP, .sum = &sum}; \
      lanes; \
      vstore(sums + r * VL, sum); \
    }

static void multiply_blocks(const void *W, isize row, isize vectors, const float *x, const u8 *ahead, float *sums) {
  const weight *w = W;
  isize groups = w->columns / GROUP;
  if (FUSED_FOUR_BIT && (w->format == NF4 || w->format == FP4)) {
    table16 table = table_of(w->fourBits.values);
    foresight next = foresight_of(ahead, VL * GROUP / 2);
    EACH_GROUP(lanes_four_bit(&w->fourBits, &table, w->columns, row + r * VL, g, out))
    return;
  }
  const u8 *data = w->data + row * w->rowBytes;
  foresight next = foresight_of(ahead, VL * w->rowBytes / groups);
  switch (w->format) {
#define CASE(name, function) \
  case name: EACH_GROUP(lanes_##function(data + r * VL * w->rowBytes, w->rowBytes, g, out)) break;
    FOR_FUSED(CASE)
#undef CASE
  }
}

KERNEL(matmulQuantized) {
  int transposed = a[8] != 0, adds = a[9] != 0;
  isize m = SIZE(a[5]), rows = SIZE(a[6]), columns = SIZE(a[7]);
  weight decoded = weight_of((int)a[4], U8(a[2]), rows, columns);
  if (m <= FEW && !transposed) {
    const u8 *bytes = decoded.rowBytes > 0 ? decoded.data : decoded.fourBits.codes;
    isize rowBytes = decoded.rowBytes > 0 ? decoded.rowBytes : columns / 2;
    row_source source = {&decoded, turn_blocks, is_fused(&decoded) ? multiply_blocks : 0, bytes, rowBytes};
    few_rows(w, source, rows, columns, F32(a[1]), m, F32(a[0]), adds);
    return;
  }
  product p = {.c = F32(a[0]), .m = m, .n = transposed ? columns : rows, .k = transposed ? rows : columns, .adds = adds};
  p.a = (matrix){F32(a[1]), p.k, 1};
  p.b = transposed ? (matrix){0, columns, 1} : (matrix){0, 1, columns};
  p.weight = &decoded;
  multiply_batch(w, &p, 1, 0, 0, F32(a[3]));
}
