/* The order of a sum along memory: pieces of 4096 elements, in which lane j takes elements j, j + 16, ...; see reduce.c. */
#ifndef LOWRANK_PIECES_H
#define LOWRANK_PIECES_H

#include "vector.h"

#define PIECE 4096

INLINE float sum_of_piece(const float *x, isize n) {
  f32x16 lanes = set16(0.0f);
  for (isize i = 0; i < n; i += 16) lanes = lanes + (n - i >= 16 ? load16(x + i) : load16_first(x + i, n - i, 0.0f));
  return sum16(lanes);
}

#endif
