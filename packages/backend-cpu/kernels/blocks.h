/*
 * Decoding of block formats, to ggml's float32 values bit for bit (core's src/blocks describes the layouts). Elements are
 * decoded in groups of 32: a whole block of the q4_0 kind, an eighth of a super-block of the "K" kind. The products of
 * scale, sub-scale and quant are exact in f32 (at most 11 + 8 + 5 bits), so that one addition at most rounds.
 */
#ifndef LOWRANK_BLOCKS_H
#define LOWRANK_BLOCKS_H

#include "four-bit.h"

/* As in src/kernels/block-formats.ts. */
enum { F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, NF4, FP4 };

#define GROUP 32

typedef i8 i8x16 __attribute__((ext_vector_type(16)));
typedef u16 u16x16 __attribute__((ext_vector_type(16)));

INLINE i32x16 bytes16(const u8 *p) {
  u8x16 b;
  __builtin_memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, i32x16);
}
INLINE f32x16 signed16(const u8 *p) {
  i8x16 b;
  __builtin_memcpy(&b, p, sizeof b);
  return __builtin_convertvector(__builtin_convertvector(b, i32x16), f32x16);
}
INLINE i32x16 words16(const u8 *p) {
  u16x16 b;
  __builtin_memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, i32x16);
}
INLINE f32x16 to_float16(i32x16 x) {
#if defined(__wasm__)
  f32x16 y;
  y.s0123 = to_floats((vu)x.s0123);
  y.s4567 = to_floats((vu)x.s4567);
  y.s89ab = to_floats((vu)x.s89ab);
  y.scdef = to_floats((vu)x.scdef);
  return y;
#else
  return __builtin_convertvector(x, f32x16);
#endif
}
INLINE u32 word(const u8 *p) { return p[0] | (u32)p[1] << 8; }
INLINE u32 long_word(const u8 *p) { return word(p) | word(p + 2) << 16; }

/* float16: the exponent's bias differs by 112; subnormals are counts of 2^-24; exponent 31 is infinity and NaN. */
INLINE f32x16 half16(i32x16 h) {
  i32x16 magnitude = h & iset16(0x7fff);
  i32x16 shifted = (magnitude << 13) + iset16(112 << 23);
  shifted += (magnitude >= iset16(0x7c00)) & iset16(112 << 23);
  i32x16 small = (i32x16)(to_float16(magnitude) * set16(0x1p-24f));
  i32x16 subnormal = magnitude < iset16(0x400);
  return (f32x16)((small & subnormal) | (shifted & ~subnormal) | ((h & iset16(0x8000)) << 16));
}
INLINE float half(const u8 *p) {
  u32 h = word(p), magnitude = h & 0x7fff;
  u32 value = (magnitude << 13) + (112u << 23);
  if (magnitude >= 0x7c00) value += 112u << 23;
  if (magnitude < 0x400) value = bits((float)(i32)magnitude * 0x1p-24f);
  return from_bits(value | (h & 0x8000) << 16);
}
INLINE f32x16 bfloat16(i32x16 h) { return (f32x16)(h << 16); }

INLINE void put(float *y, f32x16 low, f32x16 high) {
  store16(y, low);
  store16(y + 16, high);
}

/* Each decodes group `g` of a row. */

INLINE void decode_f16(const u8 *row, isize g, float *y) {
  const u8 *p = row + 64 * g;
  put(y, half16(words16(p)), half16(words16(p + 32)));
}
INLINE void decode_bf16(const u8 *row, isize g, float *y) {
  const u8 *p = row + 64 * g;
  put(y, bfloat16(words16(p)), bfloat16(words16(p + 32)));
}

INLINE void decode_q4_0(const u8 *row, isize g, float *y) {
  const u8 *p = row + 18 * g;
  f32x16 d = set16(half(p));
  i32x16 q = bytes16(p + 2);
  put(y, to_float16((q & iset16(15)) - iset16(8)) * d, to_float16((q >> 4) - iset16(8)) * d);
}
INLINE void decode_q4_1(const u8 *row, isize g, float *y) {
  const u8 *p = row + 20 * g;
  f32x16 d = set16(half(p)), m = set16(half(p + 2));
  i32x16 q = bytes16(p + 4);
  put(y, to_float16(q & iset16(15)) * d + m, to_float16(q >> 4) * d + m);
}

/* Bits first .. first + 15 of `fifths`, each worth 16. */
INLINE i32x16 fifth_bits(u32 fifths, int first) {
  i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return ((iset16((i32)(fifths >> first)) >> lane) & iset16(1)) << 4;
}
INLINE void decode_q5_0(const u8 *row, isize g, float *y) {
  const u8 *p = row + 22 * g;
  f32x16 d = set16(half(p));
  u32 fifths = long_word(p + 2);
  i32x16 q = bytes16(p + 6);
  i32x16 low = (q & iset16(15)) | fifth_bits(fifths, 0), high = (q >> 4) | fifth_bits(fifths, 16);
  put(y, to_float16(low - iset16(16)) * d, to_float16(high - iset16(16)) * d);
}
INLINE void decode_q5_1(const u8 *row, isize g, float *y) {
  const u8 *p = row + 24 * g;
  f32x16 d = set16(half(p)), m = set16(half(p + 2));
  u32 fifths = long_word(p + 4);
  i32x16 q = bytes16(p + 8);
  i32x16 low = (q & iset16(15)) | fifth_bits(fifths, 0), high = (q >> 4) | fifth_bits(fifths, 16);
  put(y, to_float16(low) * d + m, to_float16(high) * d + m);
}
INLINE void decode_q8_0(const u8 *row, isize g, float *y) {
  const u8 *p = row + 34 * g;
  f32x16 d = set16(half(p));
  put(y, signed16(p + 2) * d, signed16(p + 18) * d);
}

INLINE void decode_q2_k(const u8 *row, isize g, float *y) {
  const u8 *p = row + 84 * (g / 8);
  int part = (int)(g % 8), shift = 2 * (part & 3);
  float d = half(p + 80), dmin = half(p + 82);
  const u8 *quants = p + 16 + (part >> 2) * 32;
  for (int i = 0; i < 2; i++) {
    int packed = p[2 * part + i];
    f32x16 scale = set16(d * (float)(packed & 15)), min = set16(dmin * (float)(packed >> 4));
    store16(y + 16 * i, to_float16((bytes16(quants + 16 * i) >> shift) & iset16(3)) * scale - min);
  }
}

INLINE void decode_q3_k(const u8 *row, isize g, float *y) {
  const u8 *p = row + 110 * (g / 8);
  int part = (int)(g % 8), shift = 2 * (part & 3);
  float d = half(p + 108);
  const u8 *quants = p + 32 + (part >> 2) * 32;
  for (int i = 0; i < 2; i++) {
    int sub = 2 * part + i;
    int low = (p[96 + (sub & 7)] >> (sub >> 3) * 4) & 15, high = (p[104 + (sub & 3)] >> (sub >> 2) * 2) & 3;
    f32x16 scale = set16(d * (float)((low | high << 4) - 32));
    i32x16 third = (bytes16(p + 16 * i) >> part) & iset16(1);
    i32x16 q = ((bytes16(quants + 16 * i) >> shift) & iset16(3)) | (third << 2);
    store16(y + 16 * i, to_float16(q - iset16(4)) * scale);
  }
}

/* Sub-block `sub`'s scale and minimum of the 12 bytes that hold eight of each in 6 bits. */
INLINE int packed_scale(const u8 *p, int sub) {
  return sub < 4 ? p[sub] & 63 : (p[sub + 4] & 15) | (p[sub - 4] >> 6) << 4;
}
INLINE int packed_min(const u8 *p, int sub) {
  return sub < 4 ? p[sub + 4] & 63 : p[sub + 4] >> 4 | (p[sub] >> 6) << 4;
}
INLINE void decode_q4_k(const u8 *row, isize g, float *y) {
  const u8 *p = row + 144 * (g / 8);
  int sub = (int)(g % 8), shift = (sub & 1) * 4;
  f32x16 scale = set16(half(p) * (float)packed_scale(p + 4, sub));
  f32x16 min = set16(half(p + 2) * (float)packed_min(p + 4, sub));
  const u8 *quants = p + 16 + (sub >> 1) * 32;
  for (int i = 0; i < 2; i++)
    store16(y + 16 * i, to_float16((bytes16(quants + 16 * i) >> shift) & iset16(15)) * scale - min);
}
INLINE void decode_q5_k(const u8 *row, isize g, float *y) {
  const u8 *p = row + 176 * (g / 8);
  int sub = (int)(g % 8), shift = (sub & 1) * 4;
  f32x16 scale = set16(half(p) * (float)packed_scale(p + 4, sub));
  f32x16 min = set16(half(p + 2) * (float)packed_min(p + 4, sub));
  const u8 *quants = p + 48 + (sub >> 1) * 32;
  for (int i = 0; i < 2; i++) {
    i32x16 fifth = ((bytes16(p + 16 + 16 * i) >> sub) & iset16(1)) << 4;
    store16(y + 16 * i, to_float16(((bytes16(quants + 16 * i) >> shift) & iset16(15)) | fifth) * scale - min);
  }
}
INLINE void decode_q6_k(const u8 *row, isize g, float *y) {
  const u8 *p = row + 210 * (g / 8);
  int part = (int)(g % 8), side = part >> 2, quarter = part & 3;
  float d = half(p + 208);
  const u8 *low = p + side * 64 + (quarter & 1) * 32, *high = p + 128 + side * 32;
  for (int i = 0; i < 2; i++) {
    f32x16 scale = set16(d * (float)(i8)p[192 + 2 * part + i]);
    i32x16 q = ((bytes16(low + 16 * i) >> (quarter >> 1) * 4) & iset16(15)) |
               ((bytes16(high + 16 * i) >> 2 * quarter) & iset16(3)) << 4;
    store16(y + 16 * i, to_float16(q - iset16(32)) * scale);
  }
}

#define FOR_FORMATS(X) \
  X(F16, f16) X(BF16, bf16) X(Q4_0, q4_0) X(Q4_1, q4_1) X(Q5_0, q5_0) X(Q5_1, q5_1) X(Q8_0, q8_0) \
  X(Q2_K, q2_k) X(Q3_K, q3_k) X(Q4_K, q4_k) X(Q5_K, q5_k) X(Q6_K, q6_k)

/* Bytes of a row. */
INLINE isize row_bytes(int format, isize columns) {
  switch (format) {
    case Q4_0: return columns / 32 * 18;
    case Q4_1: return columns / 32 * 20;
    case Q5_0: return columns / 32 * 22;
    case Q5_1: return columns / 32 * 24;
    case Q8_0: return columns / 32 * 34;
    case Q2_K: return columns / 256 * 84;
    case Q3_K: return columns / 256 * 110;
    case Q4_K: return columns / 256 * 144;
    case Q5_K: return columns / 256 * 176;
    case Q6_K: return columns / 256 * 210;
    default: return columns * 2;
  }
}

/* The last 1 to 31 elements of a row: float16 and bfloat16 only, the others have whole groups. */
static __attribute__((noinline)) void decode_rest(int format, const u8 *row, isize g, isize count, float *y) {
  u8 padded[2 * GROUP] = {0};
  for (isize i = 0; i < 2 * count; i++) padded[i] = row[2 * GROUP * g + i];
  float values[GROUP];
  if (format == F16)
    decode_f16(padded, 0, values);
  else
    decode_bf16(padded, 0, values);
  for (isize i = 0; i < count; i++) y[i] = values[i];
}

/* A block-quantized matrix. */
typedef struct weight {
  int format;
  isize columns;
  const u8 *data;
  isize rowBytes;    /* not of nf4 and fp4, which are not stored by rows */
  four_bit fourBits; /* of those alone */
} weight;

INLINE weight weight_of(int format, const u8 *data, isize rows, isize columns) {
  weight w = {.format = format, .columns = columns, .data = data};
  if (format == NF4 || format == FP4)
    w.fourBits = four_bit_of(data, (usize)rows * (usize)columns, format == NF4 ? nf4_values : fp4_values);
  else
    w.rowBytes = row_bytes(format, columns);
  return w;
}

/*
 * Elements [first, first + count) of `rows` rows from `row` on: group i of row r goes to y + (r - row) * rowStride + 32 * i.
 * `first` is a multiple of 32.
 */
static __attribute__((noinline)) void decode(const weight *w, isize row, isize rows, isize first, isize count, float *y,
                                             isize rowStride) {
  if (w->format == NF4 || w->format == FP4) {
    decode_four_bit(&w->fourBits, w->columns, row, rows, first, count, y, rowStride);
    return;
  }
  isize rowBytes = w->rowBytes, start = first / GROUP, groups = count / GROUP;
  const u8 *data = w->data + row * rowBytes;
  switch (w->format) {
#define CASE(name, function) \
  case name: \
    for (isize r = 0; r < rows; r++) \
      for (isize i = 0; i < groups; i++) \
        decode_##function(data + r * rowBytes, start + i, y + r * rowStride + i * GROUP); \
    break;
    FOR_FORMATS(CASE)
#undef CASE
  }
  if (count % GROUP != 0)
    for (isize r = 0; r < rows; r++)
      decode_rest(w->format, data + r * rowBytes, start + groups, count % GROUP, y + r * rowStride + groups * GROUP);
}

#endif
