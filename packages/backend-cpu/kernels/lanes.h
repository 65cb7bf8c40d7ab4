/*
 * Decoding of W's rows side by side: lane r of a vector is an element of row r, so that a product x W^T needs no turned
 * floats. What is turned is the blocks' bytes, four of a row at a time, before they are taken apart: an eighth of the work.
 * The values are those of blocks.h, bit for bit: where that rounds a product before an addition, the product is exact.
 */
#ifndef LOWRANK_LANES_H
#define LOWRANK_LANES_H

#include "blocks.h"
#include "turn.h"

/* float16 in the low half of each lane; what is above it does not matter. */
INLINE vf halves(vu h) {
#if defined(__F16C__)
  typedef u16 words __attribute__((ext_vector_type(VL)));
  typedef _Float16 float16s __attribute__((ext_vector_type(VL)));
  return __builtin_convertvector((float16s)__builtin_convertvector(h, words), vf);
#else
  /* The exponent's bias differs by 112; of infinity and NaN it is made the largest. */
  vi magnitude = (vi)(h & 0x7fff);
  vu value = (vu)((vf)(magnitude << 13) * vset(0x1p112f));
  return (vf)(value | ((vu)(magnitude > 0x7bff) & 0x7f800000) | (h & 0x8000) << 16);
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

/* Where a group's elements go: element e to y[e * to] or, if there is a sum, times x[e] to that. */
typedef struct lanes_out {
  float *y;
  isize to;
  const float *x;
  vf *sum;
} lanes_out;
INLINE void emit(lanes_out out, isize e, vf value) {
  if (out.sum)
    *out.sum = vfma(vset(out.x[e]), value, *out.sum);
  else
    vstore(out.y + e * out.to, value);
}

/* Each decodes group `g` of the VL rows from `rows` on, lane r from row r; elements come in ascending order. */
#define LANES(name) INLINE void lanes_##name(const u8 *rows, isize stride, isize g, lanes_out out)
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
  EACH_NIBBLE(i, j, high, e) emit(out, e, nibbles(NIBBLE(q), 8) * d);
}
LANES(q4_1) {
  const u8 *p = rows + 20 * g;
  vu both = word_of_rows(p, stride);
  vf d = halves(both), m = halves(both >> 16);
  vu q[4];
  words_of_rows(p + 4, stride, q);
  EACH_NIBBLE(i, j, high, e) emit(out, e, vfma(nibbles(NIBBLE(q), 0), d, m));
}

/* Bit e of each lane, worth 16. */
INLINE vu fifth(vu bits, int e) { return (bits >> e & 1) << 4; }
LANES(q5_0) {
  const u8 *p = rows + 22 * g;
  vf d = halves(word_of_rows(p, stride));
  vu fifths = word_of_rows(p + 2, stride), q[4];
  words_of_rows(p + 6, stride, q);
  EACH_NIBBLE(i, j, high, e) emit(out, e, to_floats(((NIBBLE(q) & 15) | fifth(fifths, e)) - 16) * d);
}
LANES(q5_1) {
  const u8 *p = rows + 24 * g;
  vu both = word_of_rows(p, stride);
  vf d = halves(both), m = halves(both >> 16);
  vu fifths = word_of_rows(p + 4, stride), q[4];
  words_of_rows(p + 8, stride, q);
  EACH_NIBBLE(i, j, high, e) emit(out, e, vfma(to_floats((NIBBLE(q) & 15) | fifth(fifths, e)), d, m));
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
    emit(out, 4 * i + j, to_floats((q[i] << (24 - 8 * j)) & 0xff000000) * d);
}

LANES(f16) {
  vu q[16];
  for (int i = 0; i < 4; i++) words_of_rows(rows + 64 * g + 16 * i, stride, q + 4 * i);
  EACH_WORD(i, 16) {
    emit(out, 2 * i, halves(q[i]));
    emit(out, 2 * i + 1, halves(q[i] >> 16));
  }
}
LANES(bf16) {
  vu q[16];
  for (int i = 0; i < 4; i++) words_of_rows(rows + 64 * g + 16 * i, stride, q + 4 * i);
  EACH_WORD(i, 16) {
    emit(out, 2 * i, (vf)(q[i] << 16));
    emit(out, 2 * i + 1, (vf)(q[i] & 0xffff0000));
  }
}

/* The "K" kind: group g is an eighth of a super-block. */
#define EACH_HALF(half, i) ROLLED for (int half = 0; half < 2; half++) ROLLED for (int i = 4 * half; i < 4 * half + 4; i++)

LANES(q2_k) {
  const u8 *p = rows + 84 * (g / 8);
  int part = (int)(g % 8), shift = 2 * (part & 3);
  vu both = word_of_rows(p + 80, stride), packed = word_of_rows(p + part / 2 * 4, stride) >> part % 2 * 16;
  vf d = halves(both), dmin = -halves(both >> 16), scale[2], min[2];
  for (int s = 0; s < 2; s++) {
    scale[s] = d * to_floats(packed >> 8 * s & 15);
    min[s] = dmin * to_floats(packed >> (8 * s + 4) & 15);
  }
  vu q[8];
  bytes_of_rows(p + 16 + (part >> 2) * 32, stride, q);
  EACH_HALF(s, i) {
    vu two = q[i] >> shift;
    EACH_BYTE(j) emit(out, 4 * i + j, vfma(to_floats(two >> 8 * j & 3), scale[s], min[s]));
  }
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
  EACH_HALF(s, i) {
    vu two = q[i] >> shift, third = thirds[i] >> part;
    EACH_BYTE(j) emit(out, 4 * i + j, to_floats(((two >> 8 * j & 3) | (third >> 8 * j & 1) << 2) - 4) * scale[s]);
  }
}

/* Scales and minima, negative, of sub-block `sub` of q4_k and q5_k: two float16 and 12 bytes of eight 6-bit pairs. */
INLINE void scales_k(const u8 *p, isize stride, int sub, vf *scale, vf *min) {
  vu head[4];
  words_of_rows(p, stride, head);
  int shift = sub % 4 * 8;
  vu s = head[1] >> shift, m = head[2] >> shift;
  if (sub >= 4) {
    vu low = head[3] >> shift;
    s = (low & 15) | (s >> 6 & 3) << 4;
    m = (low >> 4 & 15) | (m >> 6 & 3) << 4;
  }
  *scale = halves(head[0]) * to_floats(s & 63);
  *min = -(halves(head[0] >> 16) * to_floats(m & 63));
}
LANES(q4_k) {
  const u8 *p = rows + 144 * (g / 8);
  int sub = (int)(g % 8), shift = (sub & 1) * 4;
  vf scale, min;
  scales_k(p, stride, sub, &scale, &min);
  vu q[8];
  bytes_of_rows(p + 16 + (sub >> 1) * 32, stride, q);
  ROLLED for (int i = 0; i < 8; i++) {
    vu four = q[i] >> shift;
    EACH_BYTE(j) emit(out, 4 * i + j, vfma(nibbles(four >> 8 * j, 0), scale, min));
  }
}
LANES(q5_k) {
  const u8 *p = rows + 176 * (g / 8);
  int sub = (int)(g % 8), shift = (sub & 1) * 4;
  vf scale, min;
  scales_k(p, stride, sub, &scale, &min);
  vu q[8], fifths[8];
  bytes_of_rows(p + 48 + (sub >> 1) * 32, stride, q);
  bytes_of_rows(p + 16, stride, fifths);
  ROLLED for (int i = 0; i < 8; i++) {
    vu four = q[i] >> shift, one = fifths[i] >> sub;
    EACH_BYTE(j) emit(out, 4 * i + j, vfma(to_floats((four >> 8 * j & 15) | (one >> 8 * j & 1) << 4), scale, min));
  }
}
LANES(q6_k) {
  const u8 *p = rows + 210 * (g / 8);
  int part = (int)(g % 8), side = part >> 2, quarter = part & 3;
  /* A byte at the top of its lane is worth 2^24 as much. */
  vf d = halves(word_of_rows(p + 206, stride) >> 16) * vset(0x1p-24f), scale[2];
  vu packed = word_of_rows(p + 192 + part / 2 * 4, stride) >> part % 2 * 16;
  for (int s = 0; s < 2; s++) scale[s] = d * to_floats(packed << (24 - 8 * s) & 0xff000000);
  vu low[8], high[8];
  bytes_of_rows(p + side * 64 + (quarter & 1) * 32, stride, low);
  bytes_of_rows(p + 128 + side * 32, stride, high);
  EACH_HALF(s, i) {
    vu four = low[i] >> (quarter >> 1) * 4, two = high[i] >> 2 * quarter;
    EACH_BYTE(j) emit(out, 4 * i + j, to_floats(((four >> 8 * j & 15) | (two >> 8 * j & 3) << 4) - 32) * scale[s]);
  }
}

/* nf4 and fp4, of rows of whole groups, which then have one scale each. Of a byte the high nibble comes first. */
INLINE void lanes_four_bit(const four_bit *q, const table16 *table, isize columns, isize row, isize g, lanes_out out) {
  vf scale;
  for (int r = 0; r < VL; r++) {
    usize e = (usize)(row + r) * (usize)columns + (usize)(GROUP * g);
    scale[r] = block_scale(q, e >> q->shift);
  }
  vu codes[4];
  words_of_rows(q->codes + row * (columns / 2) + 16 * g, columns / 2, codes);
#if VL == 4
  EACH_WORD(i, 4) {
    f32x16 values[2];
    UNROLLED for (int low = 0; low < 2; low++) {
      u8x16 nibble = (u8x16)((low ? codes[i] : codes[i] >> 4) & 0x0f0f0f0f);
      nibble = __builtin_shufflevector(nibble, nibble, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      values[low] = look_up(table, nibble);
    }
    for (int low = 0; low < 2; low++) emit(out, 8 * i + low, values[low].s0123 * scale);
    for (int low = 0; low < 2; low++) emit(out, 8 * i + 2 + low, values[low].s4567 * scale);
    for (int low = 0; low < 2; low++) emit(out, 8 * i + 4 + low, values[low].s89ab * scale);
    for (int low = 0; low < 2; low++) emit(out, 8 * i + 6 + low, values[low].scdef * scale);
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
    emit(out, 8 * i + n, value * scale);
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
        lanes_four_bit(&w->fourBits, &table, w->columns, row + r, start + g, (lanes_out){.y = y + r + g * GROUP * to, .to = to});
  } else {
    const u8 *data = w->data + row * w->rowBytes;
    switch (w->format) {
#define CASE(name, function) \
  case name: \
    for (isize r = 0; r < whole; r += VL) \
      for (isize g = 0; g < groups; g++) \
        lanes_##function(data + r * w->rowBytes, w->rowBytes, start + g, (lanes_out){.y = y + r + g * GROUP * to, .to = to}); \
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
