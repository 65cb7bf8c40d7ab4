#include "elementwise.h"
#include "strided.h"

enum { ADD, SUB, MUL, DIV, MAX, MIN, EQUAL, LESS, LESS_EQUAL };

INLINE f32x16 truth16(i32x16 mask) { return (f32x16)(mask & (i32x16)set16(1.0f)); }
INLINE f32x16 smaller16(f32x16 a, f32x16 b) { return select16((a < b) | (a != a), a, b); }

#define MAP(op, expression) \
  case op: \
    for (isize i = 0; i < n; i += 16) { \
      f32x16 x = operand16(p, p_stride, i, n), z = operand16(q, q_stride, i, n); \
      result16(y, (expression), i, n); \
    } \
    break;

INLINE void row(isize op, float *y, const float *p, isize p_stride, const float *q, isize q_stride, isize n) {
  switch (op) {
    MAP(ADD, x + z)
    MAP(SUB, x - z)
    MAP(MUL, x * z)
    MAP(DIV, x / z)
    MAP(MAX, max16(x, z))
    MAP(MIN, smaller16(x, z))
    MAP(EQUAL, truth16(x == z))
    MAP(LESS, truth16(x < z))
    MAP(LESS_EQUAL, truth16(x <= z))
  }
}

/* y a b op rank, then by axis: size, stride of a, stride of b */
KERNEL(binary) {
  float *y = F32(a[0]);
  const float *p = F32(a[1]), *q = F32(a[2]);
  isize op = SIZE(a[3]), rank = SIZE(a[4]);
  strided s = strided_of(a + 5, rank, 2);
  isize ps = rank > 0 ? strided_stride(&s, rank - 1, 0) : 0, qs = rank > 0 ? strided_stride(&s, rank - 1, 1) : 0;
  /* A row in pieces where it is long, several rows to a chunk where it is short. */
  isize piece = s.inner < ELEMENTWISE_GRAIN ? s.inner : ELEMENTWISE_GRAIN;
  isize pieces = s.inner == 0 ? 0 : (s.inner + piece - 1) / piece;
  isize grain = piece == 0 ? 1 : ELEMENTWISE_GRAIN / piece;
  for (isize begin, end; team_range(w, s.rows * pieces, grain, &begin, &end);) {
    isize at = begin % pieces;
    strided_seek(&s, begin / pieces);
    for (isize unit = begin; unit < end; unit++) {
      isize first = at * piece, n = s.inner - first < piece ? s.inner - first : piece;
      float *target = y + (unit / pieces) * s.inner + first;
      row(op, target, p + s.offset[0] + first * ps, ps, q + s.offset[1] + first * qs, qs, n);
      if (++at == pieces) {
        at = 0;
        strided_step(&s);
      }
    }
  }
}
