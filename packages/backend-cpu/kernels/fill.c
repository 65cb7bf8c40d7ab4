#include "vector.h" 

/* y value length integer */
KERNEL(fill) {
  u32 value = a[3] != 0 ? (u32)(i32)a[1] : bits((float)a[1]);
  for (isize begin, end; team_range(w, SIZE(a[2]), 65536, &begin, &end);) {
    i32 *y = I32(a[0]);
    if (value == 0) __builtin_memset(y + begin, 0, (usize)(end - begin) * 4);
    else
      for (isize i = begin; i < end; i++) y[i] = (i32)value;
  }
}
