/*
 * Products of packed tiles: c [rows, columns] += A B in f32, up to 32 x 32 elements at a time, by AMX or by AVX-512's bf16
 * instructions. A product of two bf16 is exact in f32. What is added up in which order depends on k alone, so the bits depend
 * neither on blocks nor on threads; AMX (even and odd steps of 32 apart) and AVX-512 (one step after another) differ.
 * Both read and write subnormals as zero.
 */
#ifndef LOWRANK_BF16_TILE_H
#define LOWRANK_BF16_TILE_H

#include "pack.h"

/* Columns of B that are packed and multiplied at a time. */
#define STRIP 32

#ifdef __AMX_BF16__

/* Eight tiles of 16 rows of 64 bytes: 0 to 3 of C, 4 and 5 of A, 6 and 7 of B. */
typedef struct tile_configuration {
  u8 palette, startRow, reserved[14];
  u16 rowBytes[16];
  u8 rows[16];
} tile_configuration;

INLINE void tiles_begin(void) {
  tile_configuration c = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    c.rowBytes[i] = 64;
    c.rows[i] = 16;
  }
  __builtin_ia32_tile_loadconfig(&c);
}
INLINE void tiles_end(void) { __builtin_ia32_tilerelease(); }

#define LOAD(tile, p, bytes) __builtin_ia32_tileloadd64(tile, p, bytes)
#define STORE(tile, p, bytes) __builtin_ia32_tilestored64(tile, p, bytes)
#define DOT __builtin_ia32_tdpbf16ps

/* Tiles come from L2 faster where their lines were asked for before. */
INLINE void fetch_tile(const bf16 *p) {
  for (int i = 0; i < LINES; i++) __builtin_prefetch(p + i * STEPS, 0, 3);
}

/* Whether there is a second group of rows or of columns. `blocks` of 32 steps of k. */
INLINE void block(int tall, int wide, const bf16 *a, const bf16 *b, float *c, isize stride, isize blocks, int fresh) {
  usize bytes = (usize)stride * sizeof(float);
  float *below = c + LINES * stride;
  if (fresh) {
    __builtin_ia32_tilezero(0);
    if (wide) __builtin_ia32_tilezero(1);
    if (tall) __builtin_ia32_tilezero(2);
    if (tall && wide) __builtin_ia32_tilezero(3);
  } else {
    LOAD(0, c, bytes);
    if (wide) LOAD(1, c + LINES, bytes);
    if (tall) LOAD(2, below, bytes);
    if (tall && wide) LOAD(3, below + LINES, bytes);
  }
  const bf16 *second = a + blocks * TILE;
  /* The lines of C, too: where they were read already, those of the rows below. */
  isize each = blocks == 0 ? 0 : divide_up(2 * LINES, blocks);
  const float *soon = fresh ? c : below + LINES * stride;
  for (isize k = 0; k < blocks; k++, a += TILE, second += TILE, b += 2 * TILE) {
    LOAD(6, b, 64);
    LOAD(4, a, 64);
    fetch_tile(a + 2 * TILE);
    DOT(0, 4, 6);
    fetch_tile(b + 2 * TILE);
    if (wide) {
      LOAD(7, b + TILE, 64);
      fetch_tile(b + 3 * TILE);
      DOT(1, 4, 7);
    }
    for (isize i = k * each; i < min_size(2 * LINES, (k + 1) * each); i++) {
      __builtin_prefetch(soon + i * stride, 1, 3);
      __builtin_prefetch(soon + i * stride + LINES, 1, 3);
    }
    if (tall) {
      LOAD(5, second, 64);
      fetch_tile(second + 2 * TILE);
      DOT(2, 5, 6);
      if (wide) DOT(3, 5, 7);
    }
  }
  STORE(0, c, bytes);
  if (wide) STORE(1, c + LINES, bytes);
  if (tall) STORE(2, below, bytes);
  if (tall && wide) STORE(3, below + LINES, bytes);
}
#undef LOAD
#undef STORE
#undef DOT

#else

INLINE void tiles_begin(void) {}
INLINE void tiles_end(void) {}

typedef __bf16 bf16x32 __attribute__((vector_size(64)));
#define HALF (LINES / 2)

/* Half a group of rows. */
INLINE void half_block(int wide, const bf16 *a, const bf16 *b, float *c, isize stride, isize blocks, int fresh) {
  floats s[HALF][2];
  for (int i = 0; i < HALF; i++)
    for (int j = 0; j <= wide; j++) s[i][j] = fresh ? (floats){0} : (floats)load16(c + i * stride + j * LINES);
  for (isize k = 0; k < blocks; k++, a += TILE, b += 2 * TILE)
    for (int pair = 0; pair < STEPS / 2; pair++) {
      bf16x32 y[2];
      for (int j = 0; j <= wide; j++) __builtin_memcpy(&y[j], b + j * TILE + pair * 2 * LINES, sizeof y[j]);
#pragma clang loop unroll(full)
      for (int i = 0; i < HALF; i++) {
        u32 both;
        __builtin_memcpy(&both, a + i * STEPS + 2 * pair, sizeof both);
        bf16x32 x = __builtin_bit_cast(bf16x32, (pairs)(both));
        for (int j = 0; j <= wide; j++) s[i][j] = __builtin_ia32_dpbf16ps_512(s[i][j], x, y[j]);
      }
    }
  for (int i = 0; i < HALF; i++)
    for (int j = 0; j <= wide; j++) store16(c + i * stride + j * LINES, (f32x16)s[i][j]);
}

INLINE void block(int tall, int wide, const bf16 *a, const bf16 *b, float *c, isize stride, isize blocks, int fresh) {
  for (int i = 0; i <= tall; i++)
    for (int half = 0; half < 2; half++)
      half_block(wide, a + i * blocks * TILE + half * HALF * STEPS, b, c + (i * LINES + half * HALF) * stride, stride,
                 blocks, fresh);
}

#endif

/* Of a size that is known at run time only. */
static __attribute__((noinline)) void any_block(int tall, int wide, const bf16 *a, const bf16 *b, float *c, isize stride,
                                                isize blocks, int fresh) {
  if (tall && wide) block(1, 1, a, b, c, stride, blocks, fresh);
  else if (tall) block(1, 0, a, b, c, stride, blocks, fresh);
  else if (wide) block(0, 1, a, b, c, stride, blocks, fresh);
  else block(0, 0, a, b, c, stride, blocks, fresh);
}

/* c [rows, columns <= STRIP] gets `steps` more; a of pack_a, b a strip of pack_b; `fresh` sums start from 0. */
static __attribute__((noinline)) void multiply(const bf16 *a, const bf16 *b, float *c, isize stride, isize rows,
                                               isize columns, isize steps, int fresh) {
  isize blocks = divide_up(steps, STEPS);
  int wide = columns > LINES;
  for (isize i = 0; i < rows; i += 2 * LINES) {
    isize height = min_size(2 * LINES, rows - i);
    int tall = height > LINES;
    const bf16 *panel = a + i / LINES * blocks * TILE;
    float *target = c + i * stride;
    if (height == (tall + 1) * LINES && columns == (wide + 1) * LINES) {
      any_block(tall, wide, panel, b, target, stride, blocks, fresh);
      continue;
    }
    _Alignas(64) float edge[2 * LINES * STRIP];
    if (!fresh)
      for (isize r = 0; r < (tall + 1) * LINES; r++)
        for (isize q = 0; q < STRIP; q++) edge[r * STRIP + q] = r < height && q < columns ? target[r * stride + q] : 0.0f;
    any_block(tall, wide, panel, b, edge, STRIP, blocks, fresh);
    for (isize r = 0; r < height; r++)
      for (isize q = 0; q < columns; q++) target[r * stride + q] = edge[r * STRIP + q];
  }
}

#endif
