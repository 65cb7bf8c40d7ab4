/* Waiting: `park` sleeps while *word is `expected` (it may wake for no reason), `unpark` wakes all that sleep on the word. */
#ifndef LOWRANK_PARK_H
#define LOWRANK_PARK_H

#include "../runtime.h"

#if defined(__wasm__)

#if defined(__wasm_atomics__)
static void park(i32 *word, i32 expected) { __builtin_wasm_memory_atomic_wait32(word, expected, -1); }
static void unpark(i32 *word) { __builtin_wasm_memory_atomic_notify(word, 0x7fffffff); }
/* No scheduler to ask: a short sleep on a word of our own, which nobody changes. */
static i32 never;
static void yield(void) { __builtin_wasm_memory_atomic_wait32(&never, 0, 30000); }
#else
static void park(i32 *word, i32 expected) {}
static void unpark(i32 *word) {}
static void yield(void) {}
#endif
static void relax(void) {}
/* Without a pause instruction a turn of a waiting loop is short. */
#define SPINS 8000

#else

#if defined(__x86_64__)
static void relax(void) { __builtin_ia32_pause(); }
#else
static void relax(void) { __asm__ volatile("isb" ::: "memory"); }
#endif
#define SPINS 500

#if defined(__linux__)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
static void park(i32 *word, i32 expected) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, 0, 0, 0); }
static void unpark(i32 *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0, 0, 0); }
static void yield(void) { sched_yield(); }
#elif defined(_WIN32)
#include <windows.h>
static void park(i32 *word, i32 expected) { WaitOnAddress(word, &expected, sizeof expected, INFINITE); }
static void unpark(i32 *word) { WakeByAddressAll(word); }
static void yield(void) { SwitchToThread(); }
#else
#include <pthread.h>
#include <sched.h>
/* One lock for all words: threads sleep rarely, and wake to look again. */
static pthread_mutex_t park_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t park_condition = PTHREAD_COND_INITIALIZER;
static void park(i32 *word, i32 expected) {
  pthread_mutex_lock(&park_mutex);
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == expected) pthread_cond_wait(&park_condition, &park_mutex);
  pthread_mutex_unlock(&park_mutex);
}
static void unpark(i32 *word) {
  pthread_mutex_lock(&park_mutex);
  pthread_cond_broadcast(&park_condition);
  pthread_mutex_unlock(&park_mutex);
}
static void yield(void) { sched_yield(); }
#endif
#endif

#endif
