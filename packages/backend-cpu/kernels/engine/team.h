/* The threads of an engine: one leader, which eats commands, and helpers, which join it for a command that has chunks to share. */
#ifndef LOWRANK_TEAM_H
#define LOWRANK_TEAM_H

#include "../runtime.h"
#include "control.h"

typedef void kernel(worker *w, const double *a);

typedef struct team {
  i32 *control;
  double *ring;
  kernel *const *table;
  char *base;
  isize threads;
  /* Tells JavaScript to look at the control words; any thread may call it. */
  void (*signal)(struct team *team);
  void *host;
} team;

/* A thread's life, until CONTROL_QUIT: index 0 leads, others help. */
void team_main(team *team, isize index);

/* Wakes the leader after commands were put into the ring, or all threads after CONTROL_QUIT was set. */
void team_wake(team *team);

/* Runs the commands in the ring up to CONTROL_TAIL by the calling thread alone. */
void team_run_alone(team *team);

#endif
