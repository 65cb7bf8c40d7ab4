/*
 * Vectors: clang's, of VL floats, so that one source serves every target. Two rules keep the bits alike on all of them:
 * an element's result never depends on VL (sums that do not run along an output element use the 16 fixed lanes of f32x16),
 * and only + - * / sqrt, vfma and integer operations are used, never libm. `-ffp-contract=off` holds everywhere.
 */
#ifndef LOWRANK_VECTOR_H
#define LOWRANK_VECTOR_H

#include "runtime.h"

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX2__)
#define VL 8
#else
#define VL 4
#endif

typedef float vf __attribute__((ext_vector_type(VL)));
typedef i32 vi __attribute__((ext_vector_type(VL)));
typedef u32 vu __attribute__((ext_vector_type(VL)));
typedef float vf_any __attribute__((ext_vector_type(VL), aligned(4), may_alias));
typedef i32 vi_any __attribute__((ext_vector_type(VL), aligned(4), may_alias));

/* The fixed lanes of reductions, whatever VL: two, four or one machine vector. */
typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef i32 i32x16 __attribute__((ext_vector_type(16)));
typedef float f32x16_any __attribute__((ext_vector_type(16), aligned(4), may_alias));
typedef float f32x8 __attribute__((ext_vector_type(8)));
typedef float f32x4 __attribute__((ext_vector_type(4)));

#define INLINE static inline __attribute__((always_inline))

INLINE isize min_size(isize a, isize b) { return a < b ? a : b; }
INLINE isize divide_up(isize a, isize b) { return (a + b - 1) / b; }

INLINE vf vload(const float *p) { return *(const vf_any *)p; }
INLINE void vstore(float *p, vf x) { *(vf_any *)p = x; }
INLINE vi viload(const i32 *p) { return *(const vi_any *)p; }
INLINE void vistore(i32 *p, vi x) { *(vi_any *)p = x; }
INLINE vf vset(float x) { return (vf)(x); }
INLINE vi viset(i32 x) { return (vi)(x); }
INLINE f32x16 load16(const float *p) { return *(const f32x16_any *)p; }
INLINE void store16(float *p, f32x16 x) { *(f32x16_any *)p = x; }
INLINE f32x16 set16(float x) { return (f32x16)(x); }

INLINE i32x16 iset16(i32 x) { return (i32x16)(x); }
/* mask (a comparison's -1 or 0) ? x : y */
INLINE f32x16 select16(i32x16 mask, f32x16 x, f32x16 y) { return (f32x16)(((i32x16)x & mask) | ((i32x16)y & ~mask)); }
/* The first n lanes of x, the others `rest`. */
INLINE f32x16 keep16(f32x16 x, isize n, float rest) {
  i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return select16(lane < iset16((i32)n), x, set16(rest));
}
/* NaN where either is NaN. */
INLINE f32x16 max16(f32x16 a, f32x16 b) { return select16((a > b) | (a != a), a, b); }
INLINE isize min16(isize n) { return n < 16 ? n : 16; }
/* The first n <= 16 elements, the other lanes `rest`; and back. */
INLINE f32x16 load16_first(const float *p, isize n, float rest) {
  if (n == 16) return load16(p);
  float t[16];
  store16(t, set16(rest));
  for (isize i = 0; i < n; i++) t[i] = p[i];
  return load16(t);
}
INLINE void store16_first(float *p, f32x16 x, isize n) {
  if (n == 16) {
    store16(p, x);
    return;
  }
  float t[16];
  store16(t, x);
  for (isize i = 0; i < n; i++) p[i] = t[i];
}

/* The same bits as another type. */
INLINE vi vbits(vf x) { return __builtin_bit_cast(vi, x); }
INLINE vf vfloat(vi x) { return __builtin_bit_cast(vf, x); }
INLINE u32 bits(float x) { return __builtin_bit_cast(u32, x); }
INLINE float from_bits(u32 x) { return __builtin_bit_cast(float, x); }
/* mask (a comparison's -1 or 0) ? x : y */
INLINE vf vselect(vi mask, vf x, vf y) { return vfloat((vbits(x) & mask) | (vbits(y) & ~mask)); }

/* Of lanes as signed integers. That none of them is negative is kept from the compiler where WebAssembly is made, or it would
   choose the conversion of unsigned ones, which takes a processor eight instructions. */
INLINE vf to_floats(vu x) {
#if defined(__wasm__)
  __asm__("" : "+r"(x));
#endif
  return __builtin_convertvector((vi)x, vf);
}

/* The first n < VL lanes, the others 0; and back. */
INLINE vf vload_first(const float *p, isize n) {
  float t[VL] = {0};
  for (isize i = 0; i < n; i++) t[i] = p[i];
  return vload(t);
}
INLINE void vstore_first(float *p, vf x, isize n) {
  float t[VL];
  vstore(t, x);
  for (isize i = 0; i < n; i++) p[i] = t[i];
}

/* a * b + c, rounded once. Relaxed WebAssembly does so on hardware that can: the engine probes at start. Where it cannot, and without
   relaxed SIMD (src/engines/wasm-rewrite.ts), products are rounded too. */
#if !defined(__wasm__)
INLINE vf vfma(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE float sfma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
INLINE vf vfma(vf a, vf b, vf c) { return __builtin_wasm_relaxed_madd_f32x4(a, b, c); }
INLINE float sfma(float a, float b, float c) { return vfma(vset(a), vset(b), vset(c))[0]; }
INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) {
  f32x16 r;
  r.s0123 = vfma(a.s0123, b.s0123, c.s0123);
  r.s4567 = vfma(a.s4567, b.s4567, c.s4567);
  r.s89ab = vfma(a.s89ab, b.s89ab, c.s89ab);
  r.scdef = vfma(a.scdef, b.scdef, c.scdef);
  return r;
}
#endif

INLINE vf vsqrt(vf x) { return __builtin_elementwise_sqrt(x); }
INLINE float ssqrt(float x) { return __builtin_sqrtf(x); }

/* The lanes of a reduction are joined in this order: halves, quarters, pairs. */
INLINE float sum16(f32x16 x) {
  f32x8 e = x.lo + x.hi;
  f32x4 q = e.lo + e.hi;
  return (q.x + q.z) + (q.y + q.w);
}
INLINE float smax(float a, float b) { return a > b || a != a ? a : b; }
INLINE float max_of16(f32x16 x) {
  x = max16(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  x = max16(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  return smax(smax(x[0], x[1]), smax(x[2], x[3]));
}

#endif
