/*
 * Permutation and slices: y, contiguous, from elements of x at any strides; 32-bit elements of either type.
 * Where x's innermost axis is another than y's, squares of 16 x 16 are transposed at a time, so that both
 * sides use the cache lines they touch.
 */
#include "strided.h"

#define TILE 16
#define GRAIN 16384

static void copy_rows(worker *w, i32 *y, const i32 *x, strided s) {
  isize grain = s.inner == 0 ? 1 : GRAIN / s.inner;
  for (isize begin, end; team_range(w, s.rows, grain, &begin, &end);) {
    strided_seek(&s, begin);
    for (isize row = begin; row < end; row++, strided_step(&s))
      __builtin_memcpy(y + row * s.inner, x + s.offset[0], (usize)s.inner * 4);
  }
}

/* Axes of y are those of the command; `fast` is the one along which x is contiguous (or any, where none is). */
static void transpose(worker *w, i32 *y, const i32 *x, strided s, isize fast) {
  isize last = s.rank - 1, columns = s.inner, rows = strided_size(&s, fast);
  isize column_stride = strided_stride(&s, last, 0), row_stride = strided_stride(&s, fast, 0);
  isize tiles = ((rows + TILE - 1) / TILE) * ((columns + TILE - 1) / TILE), across = (columns + TILE - 1) / TILE;
  isize others = rows * columns == 0 ? 0 : s.rows / rows;
  isize fast_step = columns;
  for (isize axis = fast + 1; axis < last; axis++) fast_step *= strided_size(&s, axis);
  for (isize begin, end; team_range(w, others * tiles, GRAIN / (TILE * TILE), &begin, &end);) {
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
      for (isize r = r0; r < r1; r++)
        for (isize c = c0; c < c1; c++) y[to + r * fast_step + c] = x[from + r * row_stride + c * column_stride];
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
