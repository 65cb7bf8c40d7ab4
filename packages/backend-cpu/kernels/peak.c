/*
 * Nothing but fused multiply-adds: how fast this machine does them, which benchmarks divide by. Twelve chains are more
 * than latency times ports of any processor in use; a step is 192 multiply-adds on every instruction set.
 */
#include "vector.h"

#define CHAINS 12

KERNEL(peak) {
  float *y = F32(a[0]);
  isize steps = SIZE(a[2]) * (16 / VL);
  for (isize chunk; (chunk = team_next(w, SIZE(a[1]))) >= 0;) {
    vf s[CHAINS], x = vset(0.999f), z = vset(0.001f);
    for (int i = 0; i < CHAINS; i++) s[i] = vset((float)i);
    for (isize step = 0; step < steps; step++)
      for (int i = 0; i < CHAINS; i++)
        s[i] = vfma(s[i], x, z); /* unfused x * z + s would leave but the addition in the loop */
    for (int i = 1; i < CHAINS; i++) s[0] += s[i];
    y[chunk] = s[0][0];
  }
}
