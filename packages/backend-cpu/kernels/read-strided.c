/*
 * Permutation and slices: y, contiguous, from elements of x at any strides; 32-bit elements of either type.
 * Where x's innermost axis is another than y's, squares of 64 x 64 are transposed at a time, so that both sides use all
 * of the cache lines they touch.
 */
#include "strided.h"

#define TILE 64
#define GRAIN 16384

static void copy_rows(worker *w, i32 *y, const i32 *x, strided s) {
  isize grain = s.inner == 0 ? 1 : GRAIN / s.inner;
  for (isize begin, end; team_range(w, s.rows, grain, &begin, &end);) {
    strided_seek(&s, begin);
    for (isize row = begin; row < end; row++, strided_step(&s))
      __builtin_memcpy(y + row * s.inner, x + s.offset[0], (usize)s.inner * 4);
  }
}

typedef i32 i32x4 __attribute__((ext_vector_type(4), aligned(4)));

/* Four rows from four columns: pairs, then halves, change places. */
static inline void transpose4(i32 *y, isize y_stride, const i32 *x, isize x_stride) {
  i32x4 a = *(const i32x4 *)x, b = *(const i32x4 *)(x + x_stride);
  i32x4 c = *(const i32x4 *)(x + 2 * x_stride), d = *(const i32x4 *)(x + 3 * x_stride);
  i32x4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  i32x4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(i32x4 *)y = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  *(i32x4 *)(y + y_stride) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  *(i32x4 *)(y + 2 * y_stride) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  *(i32x4 *)(y + 3 * y_stride) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* Axes of y are those of the command; `fast` is the one along which x is contiguous (or any, where none is). */
static void transpose(worker *w, i32 *y, const i32 *x, strided s, isize fast) {
  isize last = s.rank - 1, columns = s.inner, rows = strided_size(&s, fast);
  isize column_stride = strided_stride(&s, last, 0), row_stride = strided_stride(&s, fast, 0);
  isize tiles = ((rows + TILE - 1) / TILE) * ((columns + TILE - 1) / TILE), across = (columns + TILE - 1) / TILE;
  isize others = rows * columns == 0 ? 0 : s.rows / rows;
  isize fast_step = columns;
  for (isize axis = fast + 1; axis < last; axis++) fast_step *= strided_size(&s, axis);
  for (isize begin, end; team_range(w, others * tiles, 4, &begin, &end);) {
    for (isize unit = begin; unit < end; unit++) {
      isize other = unit / tiles, tile = unit % tiles, from = 0, to = 0, step = columns;
      for (isize axis = last - 1; axis >= 0; axis--) {
        isize size = strided_size(&s, axis);
        if (axis != fast) {
          isize at = other % size;
          other /= size;
          from += at * strided_stride(&s, axis, 0);
          to += at * step;
        }
        step *= size;
      }
      isize r0 = tile / across * TILE, c0 = tile % across * TILE;
      isize r1 = r0 + TILE < rows ? r0 + TILE : rows, c1 = c0 + TILE < columns ? c0 + TILE : columns;
      const i32 *source = x + from + r0 * row_stride + c0 * column_stride;
      i32 *target = y + to + r0 * fast_step + c0;
      isize r4 = row_stride == 1 ? (r1 - r0) & ~3 : 0, c4 = (c1 - c0) & ~3;
      for (isize r = 0; r < r4; r += 4)
        for (isize c = 0; c < c4; c += 4)
          transpose4(target + r * fast_step + c, fast_step, source + c * column_stride + r, column_stride);
      for (isize r = 0; r < r1 - r0; r++)
        for (isize c = r < r4 ? c4 : 0; c < c1 - c0; c++)
          target[r * fast_step + c] = source[r * row_stride + c * column_stride];
    }
  }
}

/* y x rank, then by axis: size, stride of x */
KERNEL(readStrided) {
  i32 *y = I32(a[0]);
  const i32 *x = I32(a[1]);
  isize rank = SIZE(a[2]);
  strided s = strided_of(a + 3, rank, 1);
  if (rank == 1 && strided_stride(&s, 0, 0) != 1) {
    isize stride = strided_stride(&s, 0, 0);
    for (isize begin, end; team_range(w, s.inner, GRAIN / 4, &begin, &end);)
      for (isize i = begin; i < end; i++) y[i] = x[i * stride];
    return;
  }
  if (rank < 2 || strided_stride(&s, rank - 1, 0) == 1) {
    copy_rows(w, y, x, s);
    return;
  }
  isize fast = rank - 2;
  for (isize axis = 0; axis < rank - 1; axis++)
    if (strided_stride(&s, axis, 0) == 1) fast = axis;
  transpose(w, y, x, s, fast);
}
