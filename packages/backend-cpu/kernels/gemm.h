/*
 * Matrix multiplication's parts, shared by matmul, matmulQuantized and attention: packing and the register tile.
 *
 * Every element of the product is one chain s = fma(x_k, y_k, s) over ascending k from s = 0. Tiles, blocks and threads
 * only choose when a step of a chain runs: between blocks of k the chain's value rests in C. So the bits depend on
 * neither, nor on how many rows are multiplied at once.
 *
 * The blocking is that of Goto & van de Geijn 2008 ("Anatomy of high-performance matrix multiplication"): a block of A
 * [rows, KC] is packed into panels of MR rows (second-level cache), a strip of B [KC, STRIP] into panels of NR columns
 * (first-level cache); a tile [MR, NR] of C stays in registers along KC.
 */
#ifndef LOWRANK_GEMM_H
#define LOWRANK_GEMM_H

#include "vector.h"

/* Rows of a tile: as many as leave no register spilled; a tile is two vectors wide. UNROLL steps of k are written out. V8
   has 15 vector registers: 12 sums, two of b and one of a; where products are not fused it spills one. */
#if VL == 16
#define MR 8
#define UNROLL 4
#elif VL == 8
#define MR 6
#define UNROLL 4
#elif defined(__wasm__)
#define MR 6
#define UNROLL 2
#else
#define MR 8
#define UNROLL 2
#endif
#define NR (2 * VL)
/* Depth of a block, at most 256 (src/kernels/matmul.ts); with 192 a strip of B (24 KiB), two panels of A and a tile of C
   fit the first-level cache of processors with AVX-512. */
#if VL == 16
#define KC 192
#else
#define KC 256
#endif
/* Columns that a thread packs and multiplies at a time, on every target. */
#define STRIP 32

/* One of a product's operands: element (row, column) at data[row * rowStride + column * columnStride], one of them 1. */
typedef struct matrix {
  const float *data;
  isize rowStride;
  isize columnStride;
} matrix;

/* Rows that lie far apart are no stream that a processor foresees. WebAssembly has no such instruction. */
#ifdef __wasm__
#define PREFETCHES 0
#else
#define PREFETCHES 1
#endif
INLINE void prefetch(const float *p) { __builtin_prefetch(p, 0, 3); }


/* Transposes VL x VL in registers. */
#if VL == 4
#define TURN 4
typedef f32x4 row_t;
INLINE void transpose(row_t *r) {
  row_t a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  row_t c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}
#else
#define TURN 8
typedef f32x8 row_t;
INLINE void transpose(row_t *r) {
  row_t s[8];
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      r[i + j] = __builtin_shufflevector(s[i + j], s[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + j + 2] = __builtin_shufflevector(s[i + j], s[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    row_t low = r[i], high = r[i + 4];
    r[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11);
    r[i + 4] = __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
#endif
typedef float row_any __attribute__((ext_vector_type(TURN), aligned(4), may_alias));
INLINE row_t row_load(const float *p) { return *(const row_any *)p; }
INLINE void row_store(float *p, row_t x) { *(row_any *)p = x; }

/* How often TURN rows are turned for a panel. */
#define GROUPS ((MR + TURN - 1) / TURN)

/* Packs rows [0, rows) of `source` (its first element at (0, 0)), depth columns, to panels [depth][MR]. Lanes past `rows`
   are not written: the tile does not read them. */
INLINE void pack_a(float *restrict target, matrix source, isize rows, isize depth) {
  const float *data = source.data;
  isize stride = source.rowStride;
  for (isize i = 0; i < rows; i += MR, target += depth * MR) {
    isize count = min_size(MR, rows - i);
    if (source.columnStride != 1) {
      const float *p = data + i;
      if (count == MR)
        for (isize k = 0; k < depth; k++, p += source.columnStride)
#pragma clang loop unroll(full)
          for (int r = 0; r < MR; r++) target[k * MR + r] = p[r];
      else
        for (isize k = 0; k < depth; k++, p += source.columnStride)
          for (isize r = 0; r < count; r++) target[k * MR + r] = p[r];
      continue;
    }
    isize k = 0;
    if (count == MR) {
      const float *p = data + i * stride;
      for (; k + TURN < depth; k += TURN) {
        row_t r[GROUPS][TURN];
#pragma clang loop unroll(full)
        for (int g = 0; g < GROUPS; g++) {
#pragma clang loop unroll(full)
          for (int j = 0; j < TURN; j++) {
            isize row = g * TURN + j < MR ? g * TURN + j : MR - 1;
            r[g][j] = row_load(p + row * stride + k);
            prefetch(p + (row + MR) * stride + k);
          }
          transpose(r[g]);
        }
        /* Where TURN does not divide MR a store's last lanes are overwritten by the next; k + TURN < depth keeps them inside. */
#pragma clang loop unroll(full)
        for (int j = 0; j < TURN; j++)
#pragma clang loop unroll(full)
          for (int g = 0; g < GROUPS; g++) row_store(target + (k + j) * MR + g * TURN, r[g][j]);
      }
    }
    for (isize r = 0; r < count; r++)
      for (isize j = k; j < depth; j++) target[j * MR + r] = data[(i + r) * stride + j];
  }
}

/* Columns [j, j + TURN) of a panel of B whose columns lie in order, `stride` apart: `count` of them, zeros behind. */
INLINE void pack_b_turned(float *restrict target, const float *data, isize stride, isize depth, isize j, isize count) {
  isize k = 0;
  if (count >= TURN)
    for (; k + TURN <= depth; k += TURN) {
      row_t r[TURN];
#pragma clang loop unroll(full)
      for (int i = 0; i < TURN; i++) {
        r[i] = row_load(data + i * stride + k);
        prefetch(data + (i + TURN) * stride + k);
      }
      transpose(r);
#pragma clang loop unroll(full)
      for (int i = 0; i < TURN; i++) row_store(target + (k + i) * NR + j, r[i]);
    }
  for (; k < depth; k++)
    for (isize i = 0; i < TURN; i++) target[k * NR + j + i] = i < count ? data[i * stride + k] : 0.0f;
}

/* Packs `columns` <= NR columns of `source` (its first element at (0, 0)), depth rows, to [depth][NR], zeros behind. */
INLINE void pack_b_panel(float *restrict target, matrix source, isize depth, isize columns) {
  const float *data = source.data;
  if (source.columnStride == 1) {
    isize stride = source.rowStride;
    if (columns == NR)
      for (isize k = 0; k < depth; k++) {
        vf x = vload(data + k * stride), y = vload(data + k * stride + VL);
        prefetch(data + (k + 8) * stride);
        prefetch(data + (k + 8) * stride + VL);
        vstore(target + k * NR, x);
        vstore(target + k * NR + VL, y);
      }
    else
      for (isize k = 0; k < depth; k++)
        for (isize j = 0; j < NR; j++) target[k * NR + j] = j < columns ? data[k * stride + j] : 0.0f;
    return;
  }
  for (isize j = 0; j < NR; j += TURN)
    pack_b_turned(target, data + j * source.columnStride, source.columnStride, depth, j, min_size(TURN, columns - j));
}

/* Packs up to STRIP columns into panels of NR, one behind the other. */
INLINE void pack_b(float *restrict target, matrix source, isize depth, isize columns) {
  for (isize j = 0; j < columns; j += NR, target += depth * NR, source.data += NR * source.columnStride)
    pack_b_panel(target, source, depth, min_size(NR, columns - j));
}

/* V8 takes instructions in the order in which they come: values go through IN_ORDER, so that the compiler loads nothing
   early, and does not make an addition of a load's offset. */
#ifdef __wasm__
#define IN_ORDER(x) __asm__ volatile("" : "+r"(x))
#else
#define IN_ORDER(x)
#endif

/*
 * With AVX-512 a multiply-add broadcasts its operand itself. Every second row does so: an instruction less for a load
 * more, because a core whose other thread is busy (a neighbour's) has loads to spare but not instructions. An address of
 * more than one register would make two instructions of it again, so a goes through A_REGISTER.
 */
#if VL == 16
#define BROADCASTS 1
#define A_REGISTER(x) __asm__("" : "+r"(x))
INLINE vf vfma_broadcast(const float *x, vf y, vf s) {
  __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(s) : "v"(y), "m"(*x));
  return s;
}
#else
#define BROADCASTS 0
#define A_REGISTER(x) IN_ORDER(x)
INLINE vf vfma_broadcast(const float *x, vf y, vf s) { return vfma(vset(*x), y, s); }
#endif

/* One step of k: s += a's element of each row times b's row. */
INLINE void multiply_step(int rows, int vectors, vf (*s)[2], const float *a, isize aRow, const float *b) {
  vf y[2];
#pragma clang loop unroll(full)
  for (int j = 0; j < vectors; j++) y[j] = vload(b + j * VL);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    if (BROADCASTS && i % 2 == 1) {
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++) s[i][j] = vfma_broadcast(a + i * aRow, y[j], s[i][j]);
      continue;
    }
    vf x = vset(a[i * aRow]);
    IN_ORDER(x);
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
      s[i][j] = vfma(x, y[j], s[i][j]);
      IN_ORDER(s[i][j]);
    }
  }
}

/* Steps of k for each line of the next tile that is asked for: asked for all at once they would hold up a's panel, which
   comes from the second-level cache. */
#define STEPS_PER_LINE 8

/*
 * One tile: c [rows, vectors * VL] gets `depth` more steps of its chains; `fresh` ones start from 0. Element (i, k) of a is
 * a[i * aRow + k * aStep]: 1 and MR in a panel. b is `depth` rows of vectors * VL elements, bStride apart. `next` is
 * the tile of c that follows, or null.
 */
INLINE void tile(int rows, int vectors, isize depth, const float *restrict a, isize aRow, isize aStep,
                 const float *restrict b, isize bStride, float *restrict c, isize cStride, int fresh,
                 const float *next) {
  vf s[MR][2];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) s[i][j] = fresh ? vset(0.0f) : vload(c + i * cStride + j * VL);
  isize k = 0;
  if (next)
    for (isize line = 0; line < 2 * rows && k + STEPS_PER_LINE <= depth; line++, k += STEPS_PER_LINE) {
      prefetch(next + line / 2 * cStride + line % 2 * (NR - 1));
#pragma clang loop unroll_count(UNROLL)
      for (int step = 0; step < STEPS_PER_LINE; step++, a += aStep, b += bStride) {
        A_REGISTER(a);
        multiply_step(rows, vectors, s, a, aRow, b);
      }
    }
#pragma clang loop unroll_count(UNROLL)
  for (; k < depth; k++, a += aStep, b += bStride) {
    A_REGISTER(a);
    IN_ORDER(b);
    multiply_step(rows, vectors, s, a, aRow, b);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) vstore(c + i * cStride + j * VL, s[i][j]);
}

#if MR > 6
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#elif MR > 4
#define FOR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define FOR_ROWS(X) X(1) X(2) X(3) X(4)
#endif

/* A tile of 1..MR rows and 1 or 2 vectors, compiled once in each file that uses it. a is a panel where aRow is 0, else
   its rows lie in order, aRow apart. */
static __attribute__((noinline)) void any_tile(isize rows, isize vectors, isize depth, const float *a, isize aRow,
                                               const float *b, isize bStride, float *c, isize cStride, int fresh) {
#define ROWS(r) \
  case r: \
    if (aRow == 0 && vectors == 2) \
      tile(r, 2, depth, a, 1, MR, b, bStride, c, cStride, fresh, 0); \
    else if (aRow == 0) \
      tile(r, 1, depth, a, 1, MR, b, bStride, c, cStride, fresh, 0); \
    else if (vectors == 2) \
      tile(r, 2, depth, a, aRow, 1, b, bStride, c, cStride, fresh, 0); \
    else \
      tile(r, 1, depth, a, aRow, 1, b, bStride, c, cStride, fresh, 0); \
    break;
  switch (rows) { FOR_ROWS(ROWS) }
#undef ROWS
}

/*
 * c [rows, columns] gets `depth` more steps. a: panels of pack_a where aRow is 0, else rows in order, aRow apart. b: panels of
 * NR columns `bPanel` elements apart whose rows are bStride apart (packed: depth * NR and NR). Columns past the last
 * whole vector go through a tile of their own.
 */
static __attribute__((noinline)) void multiply(const float *a, isize aRow, const float *b, isize bPanel, isize bStride,
                                               float *c, isize cStride, isize rows, isize columns, isize depth,
                                               int fresh) {
  for (isize i = 0; i < rows; i += MR) {
    isize mr = min_size(MR, rows - i);
    const float *panel = a + i * (aRow == 0 ? depth : aRow);
    for (isize j = 0; j < columns; j += NR) {
      isize nr = min_size(NR, columns - j);
      const float *bp = b + (j / NR) * bPanel;
      float *cp = c + i * cStride + j;
      if (nr == NR && mr == MR && aRow == 0) {
        tile(MR, 2, depth, panel, 1, MR, bp, bStride, cp, cStride, fresh, PREFETCHES ? cp + MR * cStride : 0);
        continue;
      }
      isize vectors = nr <= VL ? 1 : 2;
      if (nr == vectors * VL) {
        any_tile(mr, vectors, depth, panel, aRow, bp, bStride, cp, cStride, fresh);
        continue;
      }
      float edge[MR * NR];
      if (!fresh)
        for (isize r = 0; r < mr; r++)
          for (isize q = 0; q < NR; q++) edge[r * NR + q] = q < nr ? cp[r * cStride + q] : 0.0f;
      any_tile(mr, vectors, depth, panel, aRow, bp, bStride, edge, NR, fresh);
      for (isize r = 0; r < mr; r++)
        for (isize q = 0; q < nr; q++) cp[r * cStride + q] = edge[r * NR + q];
    }
  }
}

#endif
