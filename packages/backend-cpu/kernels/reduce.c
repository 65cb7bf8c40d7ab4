/*
 * Reductions in an order that neither vector length nor threads change.
 *
 * Along the innermost axis: pieces of 4096 elements; in a piece lane j takes elements j, j + 16, ...; lanes are joined
 * as sum16 says, pieces in ascending order. Along another axis: each output element takes its inputs in ascending order.
 */
#include "pieces.h"

enum { SUM, MAX, MIN };
#define PIECES_OF_A_CHUNK 8

INLINE float identity(isize op) {
  return op == SUM ? 0.0f : op == MAX ? -__builtin_inff() : __builtin_inff();
}
INLINE f32x16 join16(isize op, f32x16 x, f32x16 y) {
  return op == SUM ? x + y : op == MAX ? max16(x, y) : select16((x < y) | (x != x), x, y);
}
INLINE float join(isize op, float x, float y) {
  return op == SUM ? x + y : op == MAX ? smax(x, y) : x < y || x != x ? x : y;
}

INLINE float reduce_piece(isize op, const float *x, isize n) {
  if (op == SUM) return sum_of_piece(x, n);
  f32x16 lanes = set16(identity(op));
  for (isize i = 0; i < n; i += 16)
    lanes = join16(op, lanes, n - i >= 16 ? load16(x + i) : load16_first(x + i, n - i, identity(op)));
  float t[16];
  store16(t, lanes);
  for (isize i = 1; i < 16; i++) t[0] = join(op, t[0], t[i]);
  return t[0];
}

/* Rows of at most one piece need no partial results. */
INLINE void reduce_rows(worker *w, isize op, float *y, const float *x, float *partials, isize outer, isize axis) {
  isize pieces = axis == 0 ? 1 : (axis + PIECE - 1) / PIECE;
  float *target = pieces == 1 ? y : partials;
  isize grain = axis < PIECE ? PIECES_OF_A_CHUNK * PIECE / (axis + 16) : PIECES_OF_A_CHUNK;
  for (isize begin, end; team_range(w, outer * pieces, grain, &begin, &end);) {
    for (isize unit = begin; unit < end; unit++) {
      isize row = unit / pieces, first = unit % pieces * PIECE;
      target[unit] = reduce_piece(op, x + row * axis + first, axis - first < PIECE ? axis - first : PIECE);
    }
  }
  if (pieces == 1) return;
  team_barrier(w);
  for (isize begin, end; team_range(w, outer, 65536 / pieces, &begin, &end);) {
    for (isize row = begin; row < end; row++) {
      float result = identity(op);
      for (isize i = 0; i < pieces; i++) result = join(op, result, partials[row * pieces + i]);
      y[row] = result;
    }
  }
}

/* A chunk takes up to 64 neighbouring columns of one outer index. */
INLINE void reduce_columns(worker *w, isize op, float *y, const float *x, isize outer, isize axis, isize inner) {
  isize blocks = (inner + 63) / 64;
  isize width = inner < 64 ? inner : 64;
  isize grain = PIECES_OF_A_CHUNK * PIECE / (axis * width + 64);
  for (isize begin, end; team_range(w, outer * blocks, grain, &begin, &end);) {
    for (isize unit = begin; unit < end; unit++) {
      isize o = unit / blocks, first = unit % blocks * 64, last = first + 64 < inner ? first + 64 : inner;
      const float *p = x + o * axis * inner;
      isize i = first;
      for (; i + 64 <= last; i += 64) {
        f32x16 lanes[4] = {set16(identity(op)), set16(identity(op)), set16(identity(op)), set16(identity(op))};
        for (isize k = 0; k < axis; k++)
          for (isize part = 0; part < 4; part++)
            lanes[part] = join16(op, lanes[part], load16(p + k * inner + i + part * 16));
        for (isize part = 0; part < 4; part++) store16(y + o * inner + i + part * 16, lanes[part]);
      }
      for (; i < last; i += 16) {
        isize n = last - i < 16 ? last - i : 16;
        f32x16 lanes = set16(identity(op));
        for (isize k = 0; k < axis; k++) lanes = join16(op, lanes, load16_first(p + k * inner + i, n, 0.0f));
        store16_first(y + o * inner + i, lanes, n);
      }
    }
  }
}

#define FOR(op) \
  case op: \
    if (inner == 1) reduce_rows(w, op, y, x, F32(a[2]), outer, axis); \
    else reduce_columns(w, op, y, x, outer, axis, inner); \
    break;

/* y x partials op outer axis inner */
KERNEL(reduce) {
  float *y = F32(a[0]);
  const float *x = F32(a[1]);
  isize outer = SIZE(a[4]), axis = SIZE(a[5]), inner = SIZE(a[6]);
  switch (SIZE(a[3])) {
    FOR(SUM)
    FOR(MAX)
    FOR(MIN)
  }
}
