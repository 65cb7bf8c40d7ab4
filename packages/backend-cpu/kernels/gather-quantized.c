/* Rows of a block-quantized table, decoded. An index out of range is reported and its row is NaN. */
#include "blocks.h"

KERNEL(gatherQuantized) {
  isize rows = SIZE(a[4]), columns = SIZE(a[5]), count = SIZE(a[6]);
  weight table = weight_of((int)a[3], U8(a[1]), rows, columns);
  for (isize i, end; team_range(w, count, 16384 / (columns + 1) + 1, &i, &end);)
    for (; i < end; i++) {
      float *y = F32(a[0]) + i * columns;
      isize index = I32(a[2])[i];
      if (index < 0 || index >= rows) {
        team_fail(w, (double)index);
        for (isize j = 0; j < columns; j++) y[j] = __builtin_nanf("");
      } else {
        decode(&table, index, 1, 0, columns, y, columns);
      }
    }
}
