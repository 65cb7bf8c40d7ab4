/*
 * exp, log, tanh and sigmoid on 16 lanes: the source's own, of + - * / fma and integer operations only, so that every
 * fused engine gives the same bits. NaN, infinities, signed zeros and subnormals go through as IEEE 754 would have it.
 *
 * The polynomials are minimax fits (Remez) of the remainder after the leading terms, which are kept exact; their errors
 * stand beside them in units in the last place (ulp) of the result.
 */
#ifndef LOWRANK_MATH_H
#define LOWRANK_MATH_H

#include "vector.h"

/* ln 2 in two parts: the first has 15 bits, so that its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
/* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits. */
#define ROUND_MAGIC 0x1.8p23f

/* e^x. x = n ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r), P of degree 4 (0.05 ulp). */
INLINE f32x16 exp16(f32x16 x) {
  /* Beyond these the result is infinite or zero (and is not computed as one: results that underflow are slow); NaN
     compares false and stays. */
  i32x16 nothing = x < set16(-104.0f);
  x = select16(x > set16(90.0f), set16(90.0f), x);
  x = select16(nothing, set16(0.0f), x);
  f32x16 shifted = fma16(x, set16(0x1.715476p0f), set16(ROUND_MAGIC));
  f32x16 n = shifted - set16(ROUND_MAGIC);
  f32x16 r = fma16(n, set16(-LN2_HIGH), x);
  r = fma16(n, set16(-LN2_LOW), r);
  f32x16 p = set16(0x1.6db4cep-10f);
  p = fma16(p, r, set16(0x1.123bdep-7f));
  p = fma16(p, r, set16(0x1.55545ep-5f));
  p = fma16(p, r, set16(0x1.55548ep-3f));
  p = fma16(p, r, set16(0.5f));
  f32x16 y = fma16(r * r, p, r) + set16(1.0f);
  /* 2^n in two factors, the first exact: the second rounds once where the result is subnormal. */
  i32x16 whole = (i32x16)shifted - (i32x16)set16(ROUND_MAGIC);
  i32x16 half = whole >> 1;
  f32x16 first = (f32x16)((half + iset16(127)) << 23);
  f32x16 second = (f32x16)((whole - half + iset16(127)) << 23);
  return select16(nothing, set16(0.0f), (y * first) * second);
}

/* ln x. x = 2^e m, sqrt(1/2) <= m < sqrt 2, f = m - 1; ln m = f - f^2 / 2 + f^3 Q(f), Q of degree 8 (0.02 ulp). */
INLINE f32x16 log16(f32x16 x) {
  i32x16 subnormal = x < set16(0x1p-126f);
  f32x16 scaled = select16(subnormal, x * set16(0x1p23f), x);
  /* The bits of sqrt(1/2) subtracted, so that the exponent changes there. */
  i32x16 bits = (i32x16)scaled - iset16(0x3f3504f3);
  i32x16 e = (bits >> 23) - (subnormal & iset16(23));
  f32x16 f = (f32x16)((bits & iset16(0x007fffff)) + iset16(0x3f3504f3)) - set16(1.0f);
  f32x16 n = __builtin_convertvector(e, f32x16);
  f32x16 q = set16(0x1.1c26eep-4f);
  q = fma16(q, f, set16(-0x1.e53e1cp-4f));
  q = fma16(q, f, set16(0x1.e6f714p-4f));
  q = fma16(q, f, set16(-0x1.fafb58p-4f));
  q = fma16(q, f, set16(0x1.232aa4p-3f));
  q = fma16(q, f, set16(-0x1.556416p-3f));
  q = fma16(q, f, set16(0x1.99a512p-3f));
  q = fma16(q, f, set16(-0x1.ffffeap-3f));
  q = fma16(q, f, set16(0x1.555548p-2f));
  f32x16 square = f * f;
  f32x16 t = fma16(n, set16(LN2_LOW), square * f * q);
  t = fma16(set16(-0.5f), square, t);
  f32x16 y = fma16(n, set16(LN2_HIGH), f + t);
  y = select16(x == set16(__builtin_inff()), x, y);
  y = select16(x == set16(0.0f), set16(-__builtin_inff()), y);
  return select16((x < set16(0.0f)) | (x != x), set16(__builtin_nanf("")), y);
}

/* tanh x: x + x^3 P(x^2) below 0.55 (P of degree 5), else 1 - 2 / (e^(2|x|) + 1) with x's sign. */
INLINE f32x16 tanh16(f32x16 x) {
  f32x16 square = x * x;
  f32x16 p = set16(0x1.13f0ep-9f);
  p = fma16(p, square, set16(-0x1.0acb44p-7f));
  p = fma16(p, square, set16(0x1.635d1cp-6f));
  p = fma16(p, square, set16(-0x1.b9ec38p-5f));
  p = fma16(p, square, set16(0x1.111068p-3f));
  p = fma16(p, square, set16(-0x1.555554p-2f));
  i32x16 sign = (i32x16)x & iset16((i32)0x80000000);
  /* The sign is x's own; the sum alone would lose that of -0. */
  f32x16 small = (f32x16)((i32x16)fma16(x * square, p, x) | sign);
  f32x16 magnitude = (f32x16)((i32x16)x ^ sign);
  f32x16 big = set16(1.0f) - set16(2.0f) / (exp16(magnitude + magnitude) + set16(1.0f));
  big = (f32x16)((i32x16)big | sign);
  return select16(magnitude < set16(0.55f), small, big);
}

/* 1 / (1 + e^-x), by e^-|x| so that nothing overflows. */
INLINE f32x16 sigmoid16(f32x16 x) {
  f32x16 e = exp16((f32x16)((i32x16)x | iset16((i32)0x80000000)));
  f32x16 numerator = select16(x < set16(0.0f), e, set16(1.0f));
  return numerator / (set16(1.0f) + e);
}

#endif
