/*
 * Operands rounded to bf16 (to nearest, ties to even; subnormals to zero) and laid out for the tile product of tile.h.
 *
 * A tile's worth of an operand is 16 lines (rows of A, columns of B) by 32 steps of k, 1 KiB, filled up with zeros. Both are
 * made of pairs of neighbouring steps, 32 bits each: A's tile is [16 lines][16 pairs], B's is [16 pairs][16 lines].
 */
#ifndef LOWRANK_BF16_PACK_H
#define LOWRANK_BF16_PACK_H

#include "../vector.h"

#define LINES 16
#define STEPS 32
/* Elements of a tile. */
#define TILE (LINES * STEPS)

typedef u16 bf16;
typedef u32 pairs __attribute__((ext_vector_type(16)));
typedef u16 halves __attribute__((ext_vector_type(32)));
typedef float floats __attribute__((vector_size(64)));

INLINE isize round_up(isize a, isize b) { return divide_up(a, b) * b; }

/* One of a product's operands: element (line, step of k) at data[line * lineStride + step * stepStride], one of them 1. */
typedef struct operand {
  const float *data;
  isize lineStride;
  isize stepStride;
} operand;

INLINE operand at(operand x, isize line, isize step) {
  x.data += line * x.lineStride + step * x.stepStride;
  return x;
}

INLINE halves round_to_bf16(f32x16 low, f32x16 high) {
  return __builtin_bit_cast(halves, __builtin_ia32_cvtne2ps2bf16_512((floats)high, (floats)low));
}

/* The first n elements and zeros behind; n may be negative, or more than 16. */
INLINE f32x16 load_first(const float *p, isize n) {
  u32 mask = n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1;
  return (f32x16)__builtin_ia32_loadups512_mask(p, (floats){0}, (u16)mask);
}

/* Lines that lie in order: r[line] is its 16 pairs. */
INLINE void load_lines(pairs *r, const float *p, isize stride, isize lines, isize steps) {
  if (lines >= LINES && steps >= STEPS) {
    for (int i = 0; i < LINES; i++, p += stride) {
      __builtin_prefetch(p + 2 * STEPS, 0, 3);
      __builtin_prefetch(p + 2 * STEPS + 16, 0, 3);
      r[i] = (pairs)round_to_bf16(load16(p), load16(p + 16));
    }
    return;
  }
  for (isize i = 0; i < LINES; i++, p += stride)
    r[i] = i < lines ? (pairs)round_to_bf16(load_first(p, steps), load_first(p + 16, steps - 16)) : (pairs)(0u);
}

/* Steps that lie in order: r[pair] is that of 16 lines. */
INLINE void load_steps(pairs *r, const float *p, isize stride, isize lines, isize steps) {
  int whole = lines >= LINES && steps >= STEPS;
  for (int i = 0; i < STEPS / 2; i++, p += 2 * stride) {
    halves x;
    if (whole) x = round_to_bf16(load16(p), load16(p + stride));
    else x = round_to_bf16(load_first(p, 2 * i < steps ? lines : 0), load_first(p + stride, 2 * i + 1 < steps ? lines : 0));
    r[i] = (pairs)__builtin_shufflevector(x, x, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10,
                                          26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
}

/* Transposes 16 x 16. */
INLINE void turn(pairs *r) {
  pairs s[16];
  for (int i = 0; i < 16; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; j++) {
      pairs a = s[i + j], b = s[i + j + 2];
      r[i + 2 * j] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      r[i + 2 * j + 1] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  /* r[4 g + c] now holds of lines 4 g .. 4 g + 3 the columns c, 4 + c, 8 + c and 12 + c. */
  for (int c = 0; c < 4; c++) {
    pairs even[2], odd[2];
    for (int g = 0; g < 2; g++) {
      pairs a = r[8 * g + c], b = r[8 * g + 4 + c];
      even[g] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
      odd[g] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    }
    s[c] = __builtin_shufflevector(even[0], even[1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    s[8 + c] = __builtin_shufflevector(even[0], even[1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    s[4 + c] = __builtin_shufflevector(odd[0], odd[1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    s[12 + c] = __builtin_shufflevector(odd[0], odd[1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
  for (int i = 0; i < 16; i++) r[i] = s[i];
}

INLINE void store_tile(bf16 *target, const pairs *r) {
  for (int i = 0; i < 16; i++) __builtin_memcpy(target + 2 * LINES * i, &r[i], sizeof r[i]);
}

/* Packs the operand's first `lines` x `steps` to tiles [groups of 16 lines][blocks of 32 steps]. They are read in the
   order in which they lie in memory. */
static __attribute__((noinline)) void pack_a(bf16 *target, operand source, isize lines, isize steps) {
  isize groups = divide_up(lines, LINES), blocks = divide_up(steps, STEPS);
  for (isize number = 0; number < groups * blocks; number++) {
    int inOrder = source.stepStride == 1;
    isize i = inOrder ? number / blocks : number % groups, k = inOrder ? number % blocks : number / groups;
    const float *p = source.data + i * LINES * source.lineStride + k * STEPS * source.stepStride;
    pairs r[16];
    if (inOrder) {
      load_lines(r, p, source.lineStride, lines - i * LINES, steps - k * STEPS);
    } else {
      load_steps(r, p, source.stepStride, lines - i * LINES, steps - k * STEPS);
      turn(r);
    }
    store_tile(target + (i * blocks + k) * TILE, r);
  }
}

/* Packs up to 16 lines to every other tile: a strip is [blocks of 32 steps][2 groups of 16 lines]. */
static __attribute__((noinline)) void pack_b(bf16 *target, operand source, isize lines, isize steps) {
  for (isize k = 0; k < steps; k += STEPS, target += 2 * TILE) {
    const float *p = source.data + k * source.stepStride;
    pairs r[16];
    if (source.stepStride == 1) {
      load_lines(r, p, source.lineStride, lines, steps - k);
      turn(r);
    } else {
      load_steps(r, p, source.stepStride, lines, steps - k);
    }
    store_tile(target, r);
  }
}

#endif
