#include "team.h"
#include "park.h"

#define LOAD(word) __atomic_load_n(&control[word], __ATOMIC_SEQ_CST)
#define STORE(word, value) __atomic_store_n(&control[word], (value), __ATOMIC_SEQ_CST)
#define ADD(word, value) __atomic_fetch_add(&control[word], (value), __ATOMIC_SEQ_CST)

/* Chunks of a phase: who takes the last one is found by counting, so no thread has to arrive anywhere. */
#define STATE ((u64 *)&control[CONTROL_STATE])
#define ONE_DONE ((u64)1)
#define ONE_NEXT ((u64)1 << 21)
#define ONE_PHASE ((u64)1 << 42)
#define DONE(state) ((isize)((state) & (ONE_NEXT - 1)))
#define NEXT(state) ((isize)((state) >> 21 & (ONE_NEXT - 1)))
#define PHASE(state) ((i32)((state) >> 42))

/* The gate lets helpers into the running command while it is open. */
#define GATE_JOINED 0x3ffu
#define GATE_OPEN 0x400u
#define GATE_GENERATION 0x800u

/* Spins for some microseconds, then gives the core to others. */
static void wait_a_little(isize *turns) {
  if (++*turns < SPINS) relax();
  else yield();
}

static void open_gate(worker *w) {
  i32 *control = w->team->control;
  w->open = 1;
  u32 gate = (u32)LOAD(CONTROL_GATE);
  STORE(CONTROL_GATE, (i32)(((gate & ~(GATE_GENERATION - 1)) + GATE_GENERATION) | GATE_OPEN));
  if (LOAD(CONTROL_SLEEPERS) > 0) {
    ADD(CONTROL_WAKE, 1);
    unpark(&control[CONTROL_WAKE]);
  }
}

/* Lets nobody in any more and waits for those inside. */
static void close_gate(worker *w) {
  i32 *control = w->team->control;
  w->open = 0;
  __atomic_fetch_and(&control[CONTROL_GATE], (i32)~GATE_OPEN, __ATOMIC_SEQ_CST);
  for (isize turns = 0; (u32)LOAD(CONTROL_GATE) & GATE_JOINED;) wait_a_little(&turns);
}

isize team_next(worker *w, isize chunks) {
  i32 *control = w->team->control;
  if (w->holding) {
    /* While this thread's chunk is not counted as done the phase cannot end, so one addition does both. */
    isize next = NEXT(__atomic_fetch_add(STATE, ONE_NEXT + ONE_DONE, __ATOMIC_ACQ_REL));
    if (next < chunks) return next;
    w->holding = 0;
    return -1;
  }
  w->total = (i32)chunks;
  if (chunks > 1 && w->index == 0 && !w->open && w->count > 1) open_gate(w);
  u64 state = __atomic_load_n(STATE, __ATOMIC_ACQUIRE);
  while (PHASE(state) == w->phase && NEXT(state) < chunks) {
    if (__atomic_compare_exchange_n(STATE, &state, state + ONE_NEXT, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      w->holding = 1;
      return NEXT(state);
    }
  }
  return -1;
}

void team_barrier(worker *w) {
  i32 *control = w->team->control;
  u64 state = __atomic_load_n(STATE, __ATOMIC_ACQUIRE);
  for (isize turns = 0; PHASE(state) == w->phase;) {
    if (DONE(state) >= w->total) {
      u64 following = (u64)(w->phase + 1) * ONE_PHASE;
      if (__atomic_compare_exchange_n(STATE, &state, following, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) break;
    } else {
      wait_a_little(&turns);
      state = __atomic_load_n(STATE, __ATOMIC_ACQUIRE);
    }
  }
  w->phase++;
  w->total = 0;
}

void team_fail(worker *w, double value) {
  i32 *control = w->team->control;
  i32 none = 0;
  /* 2 while it is being written */
  if (!__atomic_compare_exchange_n(&control[CONTROL_FAILED], &none, 2, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return;
  const double *command = w->team->ring + control[CONTROL_ARGUMENTS] - 2;
  double *values = (double *)&control[CONTROL_FAILED_VALUES];
  values[0] = value;
  for (isize i = 0; i < 8; i++) values[1 + i] = i + 2 < (isize)command[1] ? command[2 + i] : 0;
  control[CONTROL_FAILED_OPCODE] = control[CONTROL_OPCODE];
  STORE(CONTROL_FAILED, 1);
}

/* Runs the command at `position` of the ring. */
static void run(worker *w, i32 opcode, u32 position) {
  team *team = w->team;
  i32 *control = team->control;
  __atomic_store_n(STATE, 0, __ATOMIC_RELAXED);
  control[CONTROL_OPCODE] = opcode;
  control[CONTROL_ARGUMENTS] = (i32)position;
  w->phase = 0;
  w->holding = 0;
  w->total = 0;
  team->table[opcode](w, team->ring + position);
  if (w->open) close_gate(w);
}

/* Eats the command at the head of the ring. */
static void step(worker *w) {
  team *team = w->team;
  i32 *control = team->control;
  u32 head = (u32)control[CONTROL_HEAD];
  u32 position = head & (CONTROL_RING_WORDS - 1);
  i32 opcode = (i32)team->ring[position];
  if (opcode == CONTROL_OP_WRAP) {
    STORE(CONTROL_HEAD, (i32)(head - position + CONTROL_RING_WORDS));
    return;
  }
  u32 words = (u32)team->ring[position + 1];
  if (opcode < CONTROL_OP_WRAP) {
    run(w, opcode, position + 2);
    ADD(CONTROL_COMPLETED, 1);
  }
  STORE(CONTROL_HEAD, (i32)(head + words));
  u32 used = (u32)LOAD(CONTROL_TAIL) - (head + words);
  if (LOAD(CONTROL_WANT_SPACE) && used <= CONTROL_RING_WORDS / 2) {
    STORE(CONTROL_WANT_SPACE, 0);
    opcode = CONTROL_OP_SIGNAL;
  }
  if (opcode == CONTROL_OP_SIGNAL) team->signal(team);
}

static void lead(worker *w) {
  i32 *control = w->team->control;
  for (isize turns = 0; !LOAD(CONTROL_QUIT);) {
    i32 tail = LOAD(CONTROL_TAIL);
    if (tail != control[CONTROL_HEAD]) {
      turns = 0;
      step(w);
    } else if (++turns < SPINS) {
      relax();
    } else {
      STORE(CONTROL_ASLEEP, 1);
      if (LOAD(CONTROL_TAIL) == tail && !LOAD(CONTROL_QUIT)) park(&control[CONTROL_TAIL], tail);
      STORE(CONTROL_ASLEEP, 0);
      turns = 0;
    }
  }
}

static void help(worker *w) {
  team *team = w->team;
  i32 *control = team->control;
  for (isize turns = 0; !LOAD(CONTROL_QUIT);) {
    u32 gate = (u32)LOAD(CONTROL_GATE);
    i32 expected = (i32)gate;
    if ((gate & GATE_OPEN) && (gate & ~(GATE_GENERATION - 1)) != w->seen) {
      if (!__atomic_compare_exchange_n(
            &control[CONTROL_GATE], &expected, (i32)(gate + 1), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
      w->seen = gate & ~(GATE_GENERATION - 1);
      w->phase = 0;
      w->holding = 0;
      w->total = 0;
      team->table[control[CONTROL_OPCODE]](w, team->ring + control[CONTROL_ARGUMENTS]);
      ADD(CONTROL_GATE, -1);
      turns = 0;
    } else if (++turns < SPINS) {
      relax();
    } else {
      i32 wake = LOAD(CONTROL_WAKE);
      ADD(CONTROL_SLEEPERS, 1);
      if ((u32)LOAD(CONTROL_GATE) == gate && !LOAD(CONTROL_QUIT)) park(&control[CONTROL_WAKE], wake);
      ADD(CONTROL_SLEEPERS, -1);
      turns = 0;
    }
  }
}

static worker worker_of(team *team, isize index) {
  return (worker){.base = team->base, .index = index, .count = team->threads, .team = team};
}

void team_main(team *team, isize index) {
  i32 *control = team->control;
  worker w = worker_of(team, index);
  if (index == 0) lead(&w);
  else help(&w);
  if (ADD(CONTROL_ENDED, 1) + 1 == (i32)team->threads) team->signal(team);
}

void team_wake(team *team) {
  i32 *control = team->control;
  unpark(&control[CONTROL_TAIL]);
  if (LOAD(CONTROL_QUIT)) {
    ADD(CONTROL_WAKE, 1);
    unpark(&control[CONTROL_WAKE]);
  }
}

void team_run_alone(team *team) {
  i32 *control = team->control;
  worker w = worker_of(team, 0);
  while (control[CONTROL_HEAD] != control[CONTROL_TAIL]) step(&w);
}
