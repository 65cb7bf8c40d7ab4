/*
 * Decoding of nf4 and fp4 to core's values bit for bit (src/blocks/four-bit-payload.ts there describes the layout): a code's
 * value times its block's scale, rounded once. Blocks run along the whole array, so that the place of an element, not its row,
 * says which scale is its own.
 */
#ifndef LOWRANK_FOUR_BIT_H
#define LOWRANK_FOUR_BIT_H

#include "vector.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

typedef u8 u8x16 __attribute__((ext_vector_type(16)));

static const float nf4_values[16] = {
    -0x1p0f, -0x1.647362p-1f, -0x1.0cd66p-1f, -0x1.94654p-2f, -0x1.23449ap-2f, -0x1.7a6a7ep-3f,
    -0x1.74f0e2p-4f, 0.0f, 0x1.45f5fep-4f, 0x1.4995c6p-3f, 0x1.f809bap-3f, 0x1.5a0674p-2f,
    0x1.c3497p-2f, 0x1.200f56p-1f, 0x1.722766p-1f, 0x1p0f,
};
static const float fp4_values[16] = {
    0.0f, 0x1.555556p-8f, 0x1.555556p-1f, 0x1p0f, 0x1.555556p-2f, 0x1p-1f,
    0x1.555556p-3f, 0x1p-2f, -0.0f, -0x1.555556p-8f, -0x1.555556p-1f, -0x1p0f,
    -0x1.555556p-2f, -0x1p-1f, -0x1.555556p-3f, -0x1p-2f,
};

/* What the 8-bit codes of scales stand for (core's dynamicMap). */
static const float dynamic_map[256] = {
    -0x1.fc6666p-1f, -0x1.f53334p-1f, -0x1.eep-1f, -0x1.e6ccccp-1f, -0x1.df999ap-1f, -0x1.d86666p-1f,
    -0x1.d13334p-1f, -0x1.cap-1f, -0x1.c2ccccp-1f, -0x1.bb999ap-1f, -0x1.b46666p-1f, -0x1.ad3334p-1f,
    -0x1.a6p-1f, -0x1.9eccccp-1f, -0x1.97999ap-1f, -0x1.906666p-1f, -0x1.893334p-1f, -0x1.82p-1f,
    -0x1.7accccp-1f, -0x1.73999ap-1f, -0x1.6c6668p-1f, -0x1.653334p-1f, -0x1.5ep-1f, -0x1.56ccccp-1f,
    -0x1.4f999ap-1f, -0x1.486668p-1f, -0x1.413334p-1f, -0x1.3ap-1f, -0x1.32ccccp-1f, -0x1.2b999ap-1f,
    -0x1.246668p-1f, -0x1.1d3334p-1f, -0x1.16p-1f, -0x1.0eccccp-1f, -0x1.079998p-1f, -0x1.006666p-1f,
    -0x1.f26664p-2f, -0x1.e4p-2f, -0x1.d59998p-2f, -0x1.c73334p-2f, -0x1.b8ccccp-2f, -0x1.aa6666p-2f,
    -0x1.9cp-2f, -0x1.8d9998p-2f, -0x1.7f3334p-2f, -0x1.70ccccp-2f, -0x1.626666p-2f, -0x1.54p-2f,
    -0x1.459998p-2f, -0x1.373334p-2f, -0x1.28ccccp-2f, -0x1.1a6668p-2f, -0x1.0cp-2f, -0x1.fb3332p-3f,
    -0x1.de6666p-3f, -0x1.c1999ap-3f, -0x1.a4ccccp-3f, -0x1.88p-3f, -0x1.6b3334p-3f, -0x1.4e6666p-3f,
    -0x1.31999ap-3f, -0x1.14ccccp-3f, -0x1.fp-4f, -0x1.b66668p-4f, -0x1.93d70ap-4f, -0x1.8851eep-4f,
    -0x1.7ccccep-4f, -0x1.7147aep-4f, -0x1.65c29p-4f, -0x1.5a3d7p-4f, -0x1.4eb854p-4f, -0x1.433334p-4f,
    -0x1.37ae14p-4f, -0x1.2c28f6p-4f, -0x1.20a3d6p-4f, -0x1.151ebap-4f, -0x1.09999ap-4f, -0x1.fc28f6p-5f,
    -0x1.e51ebap-5f, -0x1.ce147ap-5f, -0x1.b70a3ep-5f, -0x1.ap-5f, -0x1.88f5c2p-5f, -0x1.71eb86p-5f,
    -0x1.5ae146p-5f, -0x1.43d70ap-5f, -0x1.2ccccep-5f, -0x1.15c29p-5f, -0x1.fd70a4p-6f, -0x1.cf5c2ap-6f,
    -0x1.a147aep-6f, -0x1.733334p-6f, -0x1.451ebap-6f, -0x1.170a3ep-6f, -0x1.d1eb86p-7f, -0x1.75c29p-7f,
    -0x1.3e76c8p-7f, -0x1.2c083p-7f, -0x1.19999ap-7f, -0x1.072b02p-7f, -0x1.e978d4p-8f, -0x1.c49ba6p-8f,
    -0x1.9fbe76p-8f, -0x1.7ae148p-8f, -0x1.56041ap-8f, -0x1.3126e8p-8f, -0x1.0c49bap-8f, -0x1.ced914p-9f,
    -0x1.851eb8p-9f, -0x1.3b645ap-9f, -0x1.e353f8p-10f, -0x1.4fdf3ap-10f, -0x1.eecbfep-11f, -0x1.b3d07cp-11f,
    -0x1.78d5p-11f, -0x1.3dd982p-11f, -0x1.02de02p-11f, -0x1.8fc506p-12f, -0x1.19ce0ap-12f, -0x1.47ae16p-13f,
    -0x1.743e96p-14f, -0x1.15df66p-14f, -0x1.6f0068p-15f, -0x1.64840cp-16f, -0x1.040bfep-17f, -0x1.b43528p-19f,
    -0x1.27476ep-21f, 0.0f, 0x1.27476ep-21f, 0x1.b43528p-19f, 0x1.040bfep-17f, 0x1.64840cp-16f,
    0x1.6f0068p-15f, 0x1.15df66p-14f, 0x1.743e96p-14f, 0x1.47ae16p-13f, 0x1.19ce0ap-12f, 0x1.8fc506p-12f,
    0x1.02de02p-11f, 0x1.3dd982p-11f, 0x1.78d5p-11f, 0x1.b3d07cp-11f, 0x1.eecbfep-11f, 0x1.4fdf3ap-10f,
    0x1.e353f8p-10f, 0x1.3b645ap-9f, 0x1.851eb8p-9f, 0x1.ced914p-9f, 0x1.0c49bap-8f, 0x1.3126e8p-8f,
    0x1.56041ap-8f, 0x1.7ae148p-8f, 0x1.9fbe76p-8f, 0x1.c49ba6p-8f, 0x1.e978d4p-8f, 0x1.072b02p-7f,
    0x1.19999ap-7f, 0x1.2c083p-7f, 0x1.3e76c8p-7f, 0x1.75c29p-7f, 0x1.d1eb86p-7f, 0x1.170a3ep-6f,
    0x1.451ebap-6f, 0x1.733334p-6f, 0x1.a147aep-6f, 0x1.cf5c2ap-6f, 0x1.fd70a4p-6f, 0x1.15c29p-5f,
    0x1.2ccccep-5f, 0x1.43d70ap-5f, 0x1.5ae146p-5f, 0x1.71eb86p-5f, 0x1.88f5c2p-5f, 0x1.ap-5f,
    0x1.b70a3ep-5f, 0x1.ce147ap-5f, 0x1.e51ebap-5f, 0x1.fc28f6p-5f, 0x1.09999ap-4f, 0x1.151ebap-4f,
    0x1.20a3d6p-4f, 0x1.2c28f6p-4f, 0x1.37ae14p-4f, 0x1.433334p-4f, 0x1.4eb854p-4f, 0x1.5a3d7p-4f,
    0x1.65c29p-4f, 0x1.7147aep-4f, 0x1.7ccccep-4f, 0x1.8851eep-4f, 0x1.93d70ap-4f, 0x1.b66668p-4f,
    0x1.fp-4f, 0x1.14ccccp-3f, 0x1.31999ap-3f, 0x1.4e6666p-3f, 0x1.6b3334p-3f, 0x1.88p-3f,
    0x1.a4ccccp-3f, 0x1.c1999ap-3f, 0x1.de6666p-3f, 0x1.fb3332p-3f, 0x1.0cp-2f, 0x1.1a6668p-2f,
    0x1.28ccccp-2f, 0x1.373334p-2f, 0x1.459998p-2f, 0x1.54p-2f, 0x1.626666p-2f, 0x1.70ccccp-2f,
    0x1.7f3334p-2f, 0x1.8d9998p-2f, 0x1.9cp-2f, 0x1.aa6666p-2f, 0x1.b8ccccp-2f, 0x1.c73334p-2f,
    0x1.d59998p-2f, 0x1.e4p-2f, 0x1.f26664p-2f, 0x1.006666p-1f, 0x1.079998p-1f, 0x1.0eccccp-1f,
    0x1.16p-1f, 0x1.1d3334p-1f, 0x1.246668p-1f, 0x1.2b999ap-1f, 0x1.32ccccp-1f, 0x1.3ap-1f,
    0x1.413334p-1f, 0x1.486668p-1f, 0x1.4f999ap-1f, 0x1.56ccccp-1f, 0x1.5ep-1f, 0x1.653334p-1f,
    0x1.6c6668p-1f, 0x1.73999ap-1f, 0x1.7accccp-1f, 0x1.82p-1f, 0x1.893334p-1f, 0x1.906666p-1f,
    0x1.97999ap-1f, 0x1.9eccccp-1f, 0x1.a6p-1f, 0x1.ad3334p-1f, 0x1.b46666p-1f, 0x1.bb999ap-1f,
    0x1.c2ccccp-1f, 0x1.cap-1f, 0x1.d13334p-1f, 0x1.d86666p-1f, 0x1.df999ap-1f, 0x1.e6ccccp-1f,
    0x1.eep-1f, 0x1.f53334p-1f, 0x1.fc6666p-1f, 0x1p0f,
};

typedef struct four_bit {
  const float *values; /* of the 16 codes */
  const u8 *codes;
  const u8 *scales;    /* f32, or where `nested` is there u8 */
  const float *nested; /* one for each 256 of those */
  float offset;
  int shift; /* blocks are of 2^shift elements */
} four_bit;

/* The payload of `elements` values. Storage is aligned, so what stands at multiples of 4 bytes may be read as it is. */
INLINE four_bit four_bit_of(const u8 *payload, usize elements, const float *values) {
  u32 blockSize = *(const u32 *)payload;
  int doubled = payload[4] != 0;
  four_bit q = {.values = values, .codes = payload + 16, .offset = *(const float *)(payload + 8)};
  q.shift = __builtin_ctz(blockSize);
  usize blocks = (elements + blockSize - 1) / blockSize;
  q.scales = q.codes + ((elements + 1) / 2 + 3) / 4 * 4;
  q.nested = doubled ? (const float *)(q.scales + (blocks + 3) / 4 * 4) : 0;
  return q;
}

INLINE float block_scale(const four_bit *q, usize block) {
  if (!q->nested) return ((const float *)q->scales)[block];
  return dynamic_map[q->scales[block]] * q->nested[block >> 8] + q->offset;
}

/* The 16 codes from element `e` on. */
INLINE u8x16 codes16(const u8 *codes, usize e) {
  const u8 *p = codes + (e >> 1);
  u8x16 b = {0};
  __builtin_memcpy(&b, p, 8);
  if (e & 1) {
    b[8] = p[8];
    u8x16 high = b >> 4, low = b & (u8x16)(15);
    return __builtin_shufflevector(low, high, 0, 17, 1, 18, 2, 19, 3, 20, 4, 21, 5, 22, 6, 23, 7, 24);
  }
  u8x16 high = b >> 4, low = b & (u8x16)(15);
  return __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/* Sixteen look-ups at once: a permutation of a register where floats can be permuted, else one of each byte's plane. */
#if defined(__AVX512F__)
typedef f32x16 table16;
INLINE table16 table_of(const float *values) { return load16(values); }
INLINE f32x16 look_up(const table16 *t, u8x16 codes) {
  return (f32x16)__builtin_ia32_permvarsf512(*t, __builtin_convertvector(codes, i32x16));
}
#elif defined(__AVX2__)
typedef f32x16 table16;
INLINE table16 table_of(const float *values) { return load16(values); }
INLINE f32x16 look_up(const table16 *t, u8x16 codes) {
  i32x16 index = __builtin_convertvector(codes, i32x16);
  f32x16 lower, upper;
  lower.lo = __builtin_ia32_permvarsf256(t->lo, index.lo);
  lower.hi = __builtin_ia32_permvarsf256(t->lo, index.hi);
  upper.lo = __builtin_ia32_permvarsf256(t->hi, index.lo);
  upper.hi = __builtin_ia32_permvarsf256(t->hi, index.hi);
  return select16(index > iset16(7), upper, lower);
}
#else
typedef struct table16 {
  u8x16 plane[4];
} table16;
INLINE table16 table_of(const float *values) {
  table16 t;
  for (int plane = 0; plane < 4; plane++)
    for (int code = 0; code < 16; code++) t.plane[plane][code] = (u8)(bits(values[code]) >> 8 * plane);
  return t;
}
INLINE u8x16 look_up_bytes(u8x16 plane, u8x16 codes) {
#if defined(__aarch64__)
  return (u8x16)vqtbl1q_u8((uint8x16_t)plane, (uint8x16_t)codes);
#else
  return (u8x16)__builtin_wasm_swizzle_i8x16(plane, codes);
#endif
}
INLINE f32x16 look_up(const table16 *t, u8x16 codes) {
  u8x16 a = look_up_bytes(t->plane[0], codes), b = look_up_bytes(t->plane[1], codes);
  u8x16 c = look_up_bytes(t->plane[2], codes), d = look_up_bytes(t->plane[3], codes);
#define ZIP_LOW(x, y) __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(x, y) __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define PAIRS_LOW(x, y) __builtin_shufflevector(x, y, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23)
#define PAIRS_HIGH(x, y) __builtin_shufflevector(x, y, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31)
  u8x16 ab = ZIP_LOW(a, b), cd = ZIP_LOW(c, d), ab2 = ZIP_HIGH(a, b), cd2 = ZIP_HIGH(c, d);
  f32x16 y;
  y.s0123 = (f32x4)PAIRS_LOW(ab, cd);
  y.s4567 = (f32x4)PAIRS_HIGH(ab, cd);
  y.s89ab = (f32x4)PAIRS_LOW(ab2, cd2);
  y.scdef = (f32x4)PAIRS_HIGH(ab2, cd2);
#undef ZIP_LOW
#undef ZIP_HIGH
#undef PAIRS_LOW
#undef PAIRS_HIGH
  return y;
}
#endif

/* Elements [first, first + count) of `rows` rows of `columns`, from `row` on: row r goes to y + r * rowStride. */
static __attribute__((noinline)) void decode_four_bit(const four_bit *q, isize columns, isize row, isize rows,
                                                      isize first, isize count, float *y, isize rowStride) {
  table16 table = table_of(q->values);
  for (isize r = 0; r < rows; r++) {
    usize e = (usize)(row + r) * (usize)columns + (usize)first, end = e + (usize)count;
    for (float *out = y + r * rowStride; e < end;) {
      usize block = e >> q->shift, stop = (block + 1) << q->shift;
      if (stop > end) stop = end;
      float scale = block_scale(q, block);
      f32x16 scales = set16(scale);
      for (; e + 16 <= stop; e += 16, out += 16) store16(out, look_up(&table, codes16(q->codes, e)) * scales);
      for (; e < stop; e++) *out++ = q->values[(q->codes[e >> 1] >> (e & 1 ? 0 : 4)) & 15] * scale;
    }
  }
}

#endif
