/*
 * One AdamW step in place with moments of 8 bits in blocks of 256 (Dettmers et al. 2022, arXiv 2110.02861). A block is
 * decoded, stepped and encoded by one thread, so results do not depend on their number.
 */
#include "adamw.h"

enum { BLOCK = 256 };

/* Between neighbours of a map, rounded to f32. */
INLINE void midpoints_of(float *midpoints, const float *map) {
  for (int i = 0; i < 255; i++) midpoints[i] = (map[i] + map[i + 1]) * 0.5f;
}

/*
 * How many of 255 ascending midpoints are strictly below each x: 0 for NaN. Halved for all of them before it is halved again, for a
 * search in itself is a chain of loads that wait for each other.
 */
INLINE void rank(i32 *counts, const float *midpoints, const float *x) {
  for (int i = 0; i < BLOCK; i++) counts[i] = 0;
  for (i32 step = 128; step != 0; step >>= 1) {
    const float *next = midpoints + step - 1;
    for (int i = 0; i < BLOCK; i++) counts[i] += next[counts[i]] < x[i] ? step : 0;
  }
}

INLINE void decode(float *moment, const u8 *codes, float absmax, const float *map, isize n) {
  for (isize i = 0; i < n; i++) moment[i] = map[codes[i]] * absmax;
}

/* Codes of a block, and zeros behind them to the end of the word; `positive` is the lowest code of what is above 0. */
INLINE float encode(u8 *codes, const float *moment, const float *midpoints, i32 positive, isize n) {
  float shares[BLOCK], absmax = 0.0f;
  i32 counts[BLOCK];
  for (isize i = 0; i < n; i++) {
    float x = __builtin_fabsf(moment[i]);
    /* NaN stays. */
    absmax = x > absmax || x != x ? x : absmax;
  }
  float divisor = absmax == 0.0f ? 1.0f : absmax;
  for (isize i = 0; i < n; i++) shares[i] = moment[i] / divisor;
  for (isize i = n; i < BLOCK; i++) shares[i] = 0.0f;
  rank(counts, midpoints, shares);
  for (isize i = 0; i < n; i++) codes[i] = (u8)(moment[i] > 0.0f && counts[i] < positive ? positive : counts[i]);
  for (isize i = n; (i & 3) != 0; i++) codes[i] = 0;
  return absmax;
}

/* maps gradientScale blocks, scalars, for each: parameter gradient firstCodes firstAbsmax secondCodes secondAbsmax length before */
KERNEL(adamw8bit) {
  const float *firstMap = F32(a[0]), *secondMap = firstMap + 256;
  adamw_scalars scalars = adamw_scalars_of(F32(a[1])[0], a + 3);
  float firstMidpoints[255], secondMidpoints[255], first[BLOCK], second[BLOCK];
  midpoints_of(firstMidpoints, firstMap);
  midpoints_of(secondMidpoints, secondMap);
  for (isize unit, end; team_range(w, SIZE(a[2]), 16, &unit, &end);) {
    /* What is next among the operands: those whose blocks are all below `unit` are passed over. */
    const double *of = a + 10;
    for (; unit < end; unit++) {
      while (unit >= SIZE(of[7]) + (SIZE(of[6]) + BLOCK - 1) / BLOCK) of += 8;
      float *parameter = F32(of[0]), *firstAbsmax = F32(of[3]), *secondAbsmax = F32(of[5]);
      const float *gradient = F32(of[1]);
      u8 *firstCodes = U8(of[2]), *secondCodes = U8(of[4]);
      isize block = unit - SIZE(of[7]), start = block * BLOCK, length = SIZE(of[6]);
      isize n = length - start < BLOCK ? length - start : BLOCK;
      float *p = parameter + start;
      decode(first, firstCodes + start, firstAbsmax[block], firstMap, n);
      decode(second, secondCodes + start, secondAbsmax[block], secondMap, n);
      for (isize i = 0; i < n; i += 16) {
        isize some = min16(n - i);
        f32x16 m = load16_first(first + i, some, 0.0f), v = load16_first(second + i, some, 0.0f);
        f32x16 g = load16_first(gradient + start + i, some, 0.0f);
        f32x16 next = adamw_step(&scalars, load16_first(p + i, some, 0.0f), g, &m, &v);
        store16_first(first + i, m, some);
        store16_first(second + i, v, some);
        store16_first(p + i, next, some);
      }
      firstAbsmax[block] = encode(firstCodes + start, first, firstMidpoints, 0, n);
      secondAbsmax[block] = encode(secondCodes + start, second, secondMidpoints, 1, n);
    }
  }
}
