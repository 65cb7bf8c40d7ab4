/*
 * What a kernel may rely on. All kernels include this file and nothing of libc or libm.
 *
 * A kernel is KERNEL(name) { ... }: it gets `w`, the thread that runs it, and `a`, its arguments in the order
 * that opcodes.h lists. Every argument is a double: addresses are byte offsets into the engine's memory (F32(a[0]) turns
 * one into a pointer; all storage and scratch is aligned to 64 bytes), sizes and scalars are plain numbers,
 * lists (shapes, segments) follow inline. Scratch is allocated by the TypeScript wrapper (device.scratch) and passed as
 * an address; scratch for each thread is `threads` pieces side by side, of which a thread takes number w->index.
 * Small arrays may live on the stack (at most 64 KiB in all).
 *
 * Work is divided into chunks that any thread may take, and phases in which the order of chunks does not matter:
 *
 *   KERNEL(example) {
 *     for (isize c; (c = team_next(w, chunks)) >= 0;) pack(c);     // phase 0
 *     team_barrier(w);                                             // every chunk of phase 0 is done and visible
 *     for (isize c; (c = team_next(w, tiles)) >= 0;) multiply(c);  // phase 1; no barrier needed at a kernel's end
 *   }
 *
 * The rules that make this work:
 *  - Nothing is written but within a chunk; what runs between the loops may only compute local values from `a`.
 *  - All calls of team_next in a phase pass the same number, and loops run until it returns -1.
 *  - How many threads take part is not fixed: a thread may join late (it then finds phases already over) or never, so
 *    w->index and w->count never divide work, and the result never depends on which thread does a chunk.
 *  - A kernel whose first loops have one chunk wakes nobody: use one chunk where the work is small (about 20 us).
 *    A phase has fewer than 2^20 chunks (team_range sees to that by itself) and a kernel fewer than 2^20 phases.
 */
#ifndef LOWRANK_RUNTIME_H
#define LOWRANK_RUNTIME_H

typedef __PTRDIFF_TYPE__ isize;
typedef __SIZE_TYPE__ usize;
typedef __INT8_TYPE__ i8;
typedef __INT16_TYPE__ i16;
typedef __INT32_TYPE__ i32;
typedef __INT64_TYPE__ i64;
typedef __UINT8_TYPE__ u8;
typedef __UINT16_TYPE__ u16;
typedef __UINT32_TYPE__ u32;
typedef __UINT64_TYPE__ u64;

typedef struct worker {
  char *base;        /* address of offset 0; null in WebAssembly, where offsets are addresses */
  isize index;       /* this thread, 0 .. count - 1: only to choose its piece of scratch */
  isize count;       /* threads of the engine */
  struct team *team; /* the rest is the engine's */
  i32 phase;
  i32 holding;
  i32 total;
  i32 open;
  u32 seen;
} worker;

/* The next chunk of the current phase, 0 .. chunks - 1 in ascending order, or -1 when all are handed out. */
isize team_next(worker *w, isize chunks);

/* Ends a phase: returns when all its chunks are done and what they wrote is visible. */
void team_barrier(worker *w);

/* Reports an argument that only the kernel can see (an index out of range): the first report since the last read becomes
   a BackendError that names the kernel and `value`. The kernel goes on, without touching memory that is not its own. */
void team_fail(worker *w, double value);

/* Hands out [*begin, *end) of 0 .. total in pieces of about `grain`, which sets the cost of a chunk (some 20 us). */
static inline int team_range(worker *w, isize total, isize grain, isize *begin, isize *end) {
  if (grain < 1) grain = 1;
  if (total / grain >= 1 << 19) grain = total / (1 << 19) + 1;
  isize c = team_next(w, (total + grain - 1) / grain);
  if (c < 0) return 0;
  *begin = c * grain;
  *end = total - *begin < grain ? total : *begin + grain;
  return 1;
}

/* Code is compiled once for each instruction set into the same addon, so names of functions that are not static get
   the instruction set appended: KERNEL does it for kernels, ISA(name) for functions shared between files. */
#ifndef INSTRUCTION_SET
#define INSTRUCTION_SET generic
#endif
#define LOWRANK_PASTE2(a, b) a##_##b
#define LOWRANK_PASTE(a, b) LOWRANK_PASTE2(a, b)
#define ISA(name) LOWRANK_PASTE(name, INSTRUCTION_SET)
#define KERNEL(name) void ISA(k_##name)(worker *w, const double *a)

#ifdef __wasm__
#define ADDRESS(x) ((char *)(usize)(x))
#else
#define ADDRESS(x) (w->base + (usize)(x))
#endif
#define F32(x) ((float *)ADDRESS(x))
#define I32(x) ((i32 *)ADDRESS(x))
#define U8(x) ((u8 *)ADDRESS(x))
#define SIZE(x) ((isize)(x))

#endif
