/*
 * Walks the rows of operands that share a shape but not their strides. The list in a command holds, axis by axis from the
 * outermost, the size and then the stride of each operand in elements (0 where it is broadcast). TypeScript has joined
 * axes where that is possible (src/kernels/axes.ts), so the innermost axis is long, and its strides are 1 or 0.
 */
#ifndef LOWRANK_STRIDED_H
#define LOWRANK_STRIDED_H

#include "runtime.h"

#define STRIDED_RANK 16
#define STRIDED_OPERANDS 3

typedef struct strided {
  isize rank, operands, rows, inner;
  const double *axes;
  isize index[STRIDED_RANK];
  isize offset[STRIDED_OPERANDS];
} strided;

static inline isize strided_size(const strided *s, isize axis) { return SIZE(s->axes[axis * (1 + s->operands)]); }
static inline isize strided_stride(const strided *s, isize axis, isize operand) {
  return SIZE(s->axes[axis * (1 + s->operands) + 1 + operand]);
}

/* Rows run over all axes but the last. */
static inline strided strided_of(const double *axes, isize rank, isize operands) {
  strided s = {.rank = rank, .operands = operands, .rows = 1, .inner = 1, .axes = axes};
  for (isize axis = 0; axis + 1 < rank; axis++) s.rows *= strided_size(&s, axis);
  if (rank > 0) s.inner = strided_size(&s, rank - 1);
  return s;
}

/* Goes to a row. */
static inline void strided_seek(strided *s, isize row) {
  for (isize operand = 0; operand < s->operands; operand++) s->offset[operand] = 0;
  for (isize axis = s->rank - 2; axis >= 0; axis--) {
    isize size = strided_size(s, axis), at = row % size;
    row /= size;
    s->index[axis] = at;
    for (isize operand = 0; operand < s->operands; operand++) s->offset[operand] += at * strided_stride(s, axis, operand);
  }
}

/* Goes to the next row. */
static inline void strided_step(strided *s) {
  for (isize axis = s->rank - 2; axis >= 0; axis--) {
    isize size = strided_size(s, axis);
    int wraps = ++s->index[axis] == size;
    for (isize operand = 0; operand < s->operands; operand++)
      s->offset[operand] += strided_stride(s, axis, operand) * (wraps ? 1 - size : 1);
    if (!wraps) return;
    s->index[axis] = 0;
  }
}

#endif
