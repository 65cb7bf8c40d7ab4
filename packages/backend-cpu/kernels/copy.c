#include "runtime.h"

/* target bytes, then the bytes themselves inline */
KERNEL(write) {
  if (team_next(w, 1) < 0) return;
  __builtin_memcpy(U8(a[0]), a + 2, (usize)a[1]);
  team_next(w, 1);
}

/* target source bytes */
KERNEL(copy) {
  for (isize begin, end; team_range(w, SIZE(a[2]), 1 << 17, &begin, &end);)
    __builtin_memcpy(U8(a[0]) + begin, U8(a[1]) + begin, (usize)(end - begin));
}

/* target source rows bytes targetStride sourceStride (strides in bytes) */
KERNEL(copyRows) {
  isize rows = SIZE(a[2]), bytes = SIZE(a[3]), to = SIZE(a[4]), from = SIZE(a[5]);
  for (isize begin, end; team_range(w, rows, (1 << 16) / (bytes + 1), &begin, &end);)
    for (isize row = begin; row < end; row++) __builtin_memcpy(U8(a[0]) + row * to, U8(a[1]) + row * from, (usize)bytes);
}
