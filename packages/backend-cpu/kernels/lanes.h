/*
 * Decoding of W's rows side by side: lane r of a vector is an element of row r, so that a product x W^T needs no turned
 * floats. What is turned is the blocks' bytes, four of a row at a time, before they are taken apart: an eighth of the work.
 * The values are those of blocks.h, bit for bit: where that rounds a product before an addition, the product is exact.
 */
#ifndef LOWRANK_LANES_H
#define LOWRANK_LANES_H

#include "blocks.h"
#include "turn.h"

INLINE vf to_floats(vu x) { return __builtin_convertvector((vi)x, vf); }

/* float16 in the low half of each lane; what is above it does not matter. */
INLINE vf halves(vu h) {
#if defined(__F16C__)
  typedef u16 words __attribute__((ext_vector_type(VL)));
  typedef _Float16 float16s __attribute__((ext_vector_type(VL)));
  return __builtin_convertvector((float16s)__builtin_convertvector(h, words), vf);
#else
  vu magnitude = h & 0x7fff;
  vu shifted = (magnitude << 13) + (112u << 23);
  shifted += (vu)(magnitude >= 0x7c00) & (112u << 23);
  vu small = (vu)(to_floats(magnitude) * vset(0x1p-24f)), subnormal = (vu)(magnitude < 0x400);
  return (vf)((small & subnormal) | (shifted & ~subnormal) | (h & 0x8000) << 16);
#endif
}

/* The nibbles in bits 0 to 3 of each lane, less `bias`; what is above them does not matter. */
INLINE vf nibbles(vu x, int bias) {
#if defined(__AVX512F__)
  f32x16 values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return (vf)__builtin_ia32_permvarsf512(values - (float)bias, (i32x16)x);
#else
  return to_floats((x & 15) - (u32)bias);
#endif
}

/* Each decodes group `g` of the VL rows from `rows` on: element e to y[e * to], lane r from row r. */
#define LANES(name) INLINE void lanes_##name(const u8 *rows, isize stride, isize g, float *y, isize to)
/* Bytes j of words i: element e = 4 i + j. In WebAssembly words are not written out, which would make the module larger
   by a quarter; nor where it would gain nothing. */
#define UNROLLED _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#if defined(__wasm__)
#define EACH_WORD(i, words) ROLLED for (int i = 0; i < words; i++)
#else
#define EACH_WORD(i, words) UNROLLED for (int i = 0; i < words; i++)
#endif
#define EACH_BYTE(j) UNROLLED for (int j = 0; j < 4; j++)

/* Elements 0 to 15 are the low nibbles of 16 bytes, 16 to 31 the high ones. */
#define EACH_NIBBLE(i, j, high, e) \
  UNROLLED for (int high = 0; high < 2; high++) EACH_WORD(i, 4) EACH_BYTE(j) \
    for (int e = 16 * high + 4 * i + j, once = 1; once; once = 0)
#define NIBBLE(q) (q[i] >> (8 * j + 4 * high))

LANES(q4_0) {
  const u8 *p = rows + 18 * g;
  vf d = halves(word_of_rows(p, stride));
  vu q[4];
  words_of_rows(p + 2, stride, q);
  EACH_NIBBLE(i, j, high, e) vstore(y + e * to, nibbles(NIBBLE(q), 8) * d);
}
LANES(q4_1) {
  const u8 *p = rows + 20 * g;
  vu both = word_of_rows(p, stride);
  vf d = halves(both), m = halves(both >> 16);
  vu q[4];
  words_of_rows(p + 4, stride, q);
  EACH_NIBBLE(i, j, high, e) vstore(y + e * to, vfma(nibbles(NIBBLE(q), 0), d, m));
}

/* Bit e of each lane, worth 16. */
INLINE vu fifth(vu bits, int e) { return (bits >> e & 1) << 4; }
LANES(q5_0) {
  const u8 *p = rows + 22 * g;
  vf d = halves(word_of_rows(p, stride));
  vu fifths = word_of_rows(p + 2, stride), q[4];
  words_of_rows(p + 6, stride, q);
  EACH_NIBBLE(i, j, high, e) vstore(y + e * to, to_floats(((NIBBLE(q) & 15) | fifth(fifths, e)) - 16) * d);
}
LANES(q5_1) {
  const u8 *p = rows + 24 * g;
  vu both = word_of_rows(p, stride);
  vf d = halves(both), m = halves(both >> 16);
  vu fifths = word_of_rows(p + 4, stride), q[4];
  words_of_rows(p + 8, stride, q);
  EACH_NIBBLE(i, j, high, e) vstore(y + e * to, vfma(to_floats((NIBBLE(q) & 15) | fifth(fifths, e)), d, m));
}

INLINE void bytes_of_rows(const u8 *p, isize stride, vu *q) {
  words_of_rows(p, stride, q);
  words_of_rows(p + 16, stride, q + 4);
}
LANES(q8_0) {
  const u8 *p = rows + 34 * g;
  /* A byte at the top of its lane is worth 2^24 as much. */
  vf d = halves(word_of_rows(p, stride)) * vset(0x1p-24f);
  vu q[8];
  bytes_of_rows(p + 2, stride, q);
  EACH_WORD(i, 8) EACH_BYTE(j)
    vstore(y + (4 * i + j) * to, to_floats((q[i] << (24 - 8 * j)) & 0xff000000) * d);
}

LANES(f16) {
  vu q[16];
  for (int i = 0; i < 4; i++) words_of_rows(rows + 64 * g + 16 * i, stride, q + 4 * i);
  EACH_WORD(i, 16) {
    vstore(y + 2 * i * to, halves(q[i]));
    vstore(y + (2 * i + 1) * to, halves(q[i] >> 16));
  }
}
LANES(bf16) {
  vu q[16];
  for (int i = 0; i < 4; i++) words_of_rows(rows + 64 * g + 16 * i, stride, q + 4 * i);
  EACH_WORD(i, 16) {
    vstore(y + 2 * i * to, (vf)(q[i] << 16));
    vstore(y + (2 * i + 1) * to, (vf)(q[i] & 0xffff0000));
  }
}

/* The "K" kind: group g is an eighth of a super-block. Its scales are taken row by row. */
#define EACH_HALF(half, i) ROLLED for (int half = 0; half < 2; half++) ROLLED for (int i = 4 * half; i < 4 * half + 4; i++)
#define BYTE(q, shift) (q[i] >> (8 * j + (shift)))

LANES(q2_k) {
  const u8 *p = rows + 84 * (g / 8);
  int part = (int)(g % 8), shift = 2 * (part & 3);
  vf scale[2], min[2];
  for (int r = 0; r < VL; r++) {
    const u8 *row = p + r * stride;
    float d = half(row + 80), dmin = half(row + 82);
    for (int s = 0; s < 2; s++) {
      int packed = row[2 * part + s];
      scale[s][r] = d * (float)(packed & 15);
      min[s][r] = -(dmin * (float)(packed >> 4));
    }
  }
  vu q[8];
  bytes_of_rows(p + 16 + (part >> 2) * 32, stride, q);
  EACH_HALF(s, i) EACH_BYTE(j)
    vstore(y + (4 * i + j) * to, vfma(to_floats(BYTE(q, shift) & 3), scale[s], min[s]));
}

LANES(q3_k) {
  const u8 *p = rows + 110 * (g / 8);
  int part = (int)(g % 8), shift = 2 * (part & 3);
  vf scale[2];
  for (int r = 0; r < VL; r++) {
    const u8 *row = p + r * stride;
    float d = half(row + 108);
    for (int s = 0; s < 2; s++) {
      int sub = 2 * part + s;
      int low = (row[96 + (sub & 7)] >> (sub >> 3) * 4) & 15, high = (row[104 + (sub & 3)] >> (sub >> 2) * 2) & 3;
      scale[s][r] = d * (float)((low | high << 4) - 32);
    }
  }
  vu q[8], thirds[8];
  bytes_of_rows(p + 32 + (part >> 2) * 32, stride, q);
  bytes_of_rows(p, stride, thirds);
  EACH_HALF(s, i) EACH_BYTE(j) {
    vu value = (BYTE(q, shift) & 3) | (BYTE(thirds, part) & 1) << 2;
    vstore(y + (4 * i + j) * to, to_floats(value - 4) * scale[s]);
  }
}

/* Scales and minima, negative, of sub-block `sub` of q4_k and q5_k. */
INLINE void scales_k(const u8 *p, isize stride, int sub, vf *scale, vf *min) {
  for (int r = 0; r < VL; r++) {
    const u8 *row = p + r * stride;
    (*scale)[r] = half(row) * (float)packed_scale(row + 4, sub);
    (*min)[r] = -(half(row + 2) * (float)packed_min(row + 4, sub));
  }
}
LANES(q4_k) {
  const u8 *p = rows + 144 * (g / 8);
  int sub = (int)(g % 8), shift = (sub & 1) * 4;
  vf scale, min;
  scales_k(p, stride, sub, &scale, &min);
  vu q[8];
  bytes_of_rows(p + 16 + (sub >> 1) * 32, stride, q);
  ROLLED for (int i = 0; i < 8; i++) EACH_BYTE(j)
    vstore(y + (4 * i + j) * to, vfma(nibbles(BYTE(q, shift), 0), scale, min));
}
LANES(q5_k) {
  const u8 *p = rows + 176 * (g / 8);
  int sub = (int)(g % 8), shift = (sub & 1) * 4;
  vf scale, min;
  scales_k(p, stride, sub, &scale, &min);
  vu q[8], fifths[8];
  bytes_of_rows(p + 48 + (sub >> 1) * 32, stride, q);
  bytes_of_rows(p + 16, stride, fifths);
  ROLLED for (int i = 0; i < 8; i++) EACH_BYTE(j) {
    vu value = (BYTE(q, shift) & 15) | (BYTE(fifths, sub) & 1) << 4;
    vstore(y + (4 * i + j) * to, vfma(to_floats(value), scale, min));
  }
}
LANES(q6_k) {
  const u8 *p = rows + 210 * (g / 8);
  int part = (int)(g % 8), side = part >> 2, quarter = part & 3;
  vf scale[2];
  for (int r = 0; r < VL; r++) {
    const u8 *row = p + r * stride;
    float d = half(row + 208);
    for (int s = 0; s < 2; s++) scale[s][r] = d * (float)(i8)row[192 + 2 * part + s];
  }
  vu low[8], high[8];
  bytes_of_rows(p + side * 64 + (quarter & 1) * 32, stride, low);
  bytes_of_rows(p + 128 + side * 32, stride, high);
  EACH_HALF(s, i) EACH_BYTE(j) {
    vu value = (BYTE(low, (quarter >> 1) * 4) & 15) | (BYTE(high, 2 * quarter) & 3) << 4;
    vstore(y + (4 * i + j) * to, to_floats(value - 32) * scale[s]);
  }
}

/* nf4 and fp4, of rows of whole groups, which then have one scale each. Of a byte the high nibble comes first. */
INLINE void lanes_four_bit(const four_bit *q, const table16 *table, isize columns, isize row, isize g, float *y, isize to) {
  vf scale;
  for (int r = 0; r < VL; r++) {
    usize e = (usize)(row + r) * (usize)columns + (usize)(GROUP * g);
    scale[r] = block_scale(q, e >> q->shift);
  }
  vu codes[4];
  words_of_rows(q->codes + row * (columns / 2) + 16 * g, columns / 2, codes);
#if VL == 4
  EACH_WORD(i, 4) UNROLLED for (int low = 0; low < 2; low++) {
    u8x16 nibble = (u8x16)((low ? codes[i] : codes[i] >> 4) & 0x0f0f0f0f);
    f32x16 values =
      look_up(table, __builtin_shufflevector(nibble, nibble, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    float *out = y + (8 * i + low) * to;
    vstore(out, values.s0123 * scale);
    vstore(out + 2 * to, values.s4567 * scale);
    vstore(out + 4 * to, values.s89ab * scale);
    vstore(out + 6 * to, values.scdef * scale);
  }
#else
  EACH_WORD(i, 4) UNROLLED for (int n = 0; n < 8; n++) {
    vi index = (vi)(codes[i] >> (n / 2 * 8 + (n % 2 ? 0 : 4)));
#if VL == 16
    vf value = (vf)__builtin_ia32_permvarsf512(*table, index);
#else
    vf lower = __builtin_ia32_permvarsf256(table->lo, index), upper = __builtin_ia32_permvarsf256(table->hi, index);
    vf value = vselect((index & 8) != 0, upper, lower);
#endif
    vstore(y + (8 * i + n) * to, value * scale);
  }
#endif
}

/* What does not fill a vector or a group: row by row. */
static __attribute__((noinline)) void lanes_rest(const weight *w, isize row, isize rows, isize first, isize count,
                                                 float *y, isize to) {
  float values[GROUP];
  for (isize r = 0; r < rows; r++)
    for (isize k = 0; k < count; k += GROUP) {
      isize n = count - k < GROUP ? count - k : GROUP;
      decode(w, row + r, 1, first + k, n, values, GROUP);
      for (isize i = 0; i < n; i++) y[(k + i) * to + r] = values[i];
    }
}

/*
 * Elements [first, first + count) of `rows` rows from `row` on, turned: element k of row r goes to y[(k - first) * to + r - row].
 * `first` is a multiple of 32.
 */
static __attribute__((noinline)) void decode_turned(const weight *w, isize row, isize rows, isize first, isize count,
                                                    float *y, isize to) {
  isize start = first / GROUP, groups = count / GROUP, whole = rows / VL * VL;
  if (w->format == NF4 || w->format == FP4) {
    if (w->columns % GROUP != 0) groups = 0;
    table16 table = table_of(w->fourBits.values);
    for (isize r = 0; r < whole; r += VL)
      for (isize g = 0; g < groups; g++)
        lanes_four_bit(&w->fourBits, &table, w->columns, row + r, start + g, y + r + g * GROUP * to, to);
  } else {
    const u8 *data = w->data + row * w->rowBytes;
    switch (w->format) {
#define CASE(name, function) \
  case name: \
    for (isize r = 0; r < whole; r += VL) \
      for (isize g = 0; g < groups; g++) \
        lanes_##function(data + r * w->rowBytes, w->rowBytes, start + g, y + r + g * GROUP * to, to); \
    break;
      FOR_FORMATS(CASE)
#undef CASE
    }
  }
  isize done = groups * GROUP;
  if (done < count) lanes_rest(w, row, whole, first + done, count - done, y + done * to, to);
  if (whole < rows) lanes_rest(w, row + whole, rows - whole, first, count, y + whole, to);
}

#endif
