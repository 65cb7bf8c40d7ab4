/*
 * Rotary position embedding (Su et al. 2021, arXiv 2104.09864): each pair (p, q) of a head turns to
 * (p cos - q sin, p sin + q cos), by -sin backwards. Products are rounded before they are added. A position outside the
 * tables is reported and its token is NaN.
 */
#include "vector.h"

/* Pairs (2i, 2i + 1), eight at a time. */
INLINE void turn_interleaved(float *y, const float *x, const float *cos, const float *sin, isize pairs, float sign) {
  isize i = 0;
  for (; i + 8 <= pairs; i += 8) {
    f32x16 v = load16(x + 2 * i);
    f32x16 other = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    float c[16], s[16];
    for (int j = 0; j < 8; j++) {
      c[2 * j] = c[2 * j + 1] = cos[i + j];
      s[2 * j] = -(s[2 * j + 1] = sign * sin[i + j]);
    }
    store16(y + 2 * i, v * load16(c) + other * load16(s));
  }
  for (; i < pairs; i++) {
    float p = x[2 * i], q = x[2 * i + 1], s = sign * sin[i];
    y[2 * i] = p * cos[i] - q * s;
    y[2 * i + 1] = q * cos[i] + p * s;
  }
}

/* Pairs (i, i + pairs). */
INLINE void turn_half(float *y, const float *x, const float *cos, const float *sin, isize pairs, float sign) {
  for (isize i = 0; i < pairs; i += 16) {
    isize n = min16(pairs - i);
    f32x16 p = load16_first(x + i, n, 0.0f), q = load16_first(x + pairs + i, n, 0.0f);
    f32x16 c = load16_first(cos + i, n, 0.0f), s = load16_first(sin + i, n, 0.0f) * set16(sign);
    store16_first(y + i, p * c - q * s, n);
    store16_first(y + pairs + i, q * c + p * s, n);
  }
}

KERNEL(rope) {
  isize tokens = SIZE(a[5]), heads = SIZE(a[6]), headSize = SIZE(a[7]), rotary = SIZE(a[8]), tableRows = SIZE(a[10]);
  const i32 *positions = I32(a[4]);
  isize pairs = rotary / 2;
  float sign = a[11] != 0 ? -1.0f : 1.0f;
  for (isize token, end; team_range(w, tokens, 16384 / (heads * headSize + 1) + 1, &token, &end);)
    for (; token < end; token++) {
      isize position = positions[token];
      if (position < 0 || position >= tableRows) {
        team_fail(w, (double)position);
        for (isize i = 0; i < heads * headSize; i++) (F32(a[0]) + token * heads * headSize)[i] = __builtin_nanf("");
        continue;
      }
      const float *cos = F32(a[2]) + position * pairs, *sin = F32(a[3]) + position * pairs;
      for (isize head = 0; head < heads; head++) {
        isize at = (token * heads + head) * headSize;
        float *y = F32(a[0]) + at;
        const float *x = F32(a[1]) + at;
        if (a[9] != 0)
          turn_interleaved(y, x, cos, sin, pairs, sign);
        else
          turn_half(y, x, cos, sin, pairs, sign);
        for (isize i = 2 * pairs; i < headSize; i++) y[i] = x[i];
      }
    }
}
