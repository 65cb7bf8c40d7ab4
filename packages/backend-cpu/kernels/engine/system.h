/* What differs between operating systems and processors: address ranges, threads, instruction sets. */
#ifndef LOWRANK_SYSTEM_H
#define LOWRANK_SYSTEM_H

#include <stdlib.h>
#include <string.h>
#include "../runtime.h"

#define THREAD_STACK (1 << 20)

/* Reserve gives an address range whose pages cost nothing until they are touched (Windows: until committed). */
#ifdef _WIN32
#include <windows.h>

typedef HANDLE system_thread;

static char *system_reserve(usize bytes) { return VirtualAlloc(NULL, bytes, MEM_RESERVE, PAGE_READWRITE); }
static int system_commit(char *base, usize bytes) {
  return bytes == 0 || VirtualAlloc(base, bytes, MEM_COMMIT, PAGE_READWRITE) != NULL;
}
static void system_release(char *base, usize bytes) { VirtualFree(base, 0, MEM_RELEASE); }

typedef struct system_call {
  void (*run)(void *);
  void *data;
} system_call;
static DWORD WINAPI system_entry(void *data) {
  system_call call = *(system_call *)data;
  free(data);
  call.run(call.data);
  return 0;
}
static int system_start(system_thread *thread, void (*run)(void *), void *data) {
  system_call *call = malloc(sizeof *call);
  if (call == NULL) return 0;
  *call = (system_call){run, data};
  *thread = CreateThread(NULL, THREAD_STACK, system_entry, call, 0, NULL);
  if (*thread == NULL) free(call);
  return *thread != NULL;
}
static void system_join(system_thread thread) {
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

#else
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

typedef pthread_t system_thread;

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
static char *system_reserve(usize bytes) {
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  /* Weights and activations are large: fewer page faults, and strides that do not miss the TLB at each step. */
  madvise(base, bytes, MADV_HUGEPAGE);
#endif
  return base;
}
static int system_commit(char *base, usize bytes) { return 1; }
static void system_release(char *base, usize bytes) { munmap(base, bytes); }

typedef struct system_call {
  void (*run)(void *);
  void *data;
} system_call;
static void *system_entry(void *data) {
  system_call call = *(system_call *)data;
  free(data);
  call.run(call.data);
  return NULL;
}
/* Signals are Node's to handle, on its own threads. */
static int system_start(system_thread *thread, void (*run)(void *), void *data) {
  system_call *call = malloc(sizeof *call);
  if (call == NULL) return 0;
  *call = (system_call){run, data};
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, THREAD_STACK);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(thread, &attributes, system_entry, call);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (failed) free(call);
  return !failed;
}
static void system_join(system_thread thread) { pthread_join(thread, NULL); }
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/* Linux saves AMX's tiles, 8 KiB a thread, for those processes alone that ask before they use them; all threads may then. */
#ifdef __linux__
#include <sys/syscall.h>
long syscall(long number, ...);
#ifndef ARCH_REQ_XCOMP_PERM
#define ARCH_REQ_XCOMP_PERM 0x1023
#endif
static int system_grants_tiles(void) { return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, 18) == 0; }
#else
static int system_grants_tiles(void) { return 0; }
#endif

/* x86-64 levels and what is beyond them by CPUID, and by XGETBV what the operating system saves of the registers. */
static int system_supports(const char *set) {
  u32 a, b, c, d, leaf1, leaf7, low, high;
  if (!__get_cpuid(1, &a, &b, &leaf1, &d) || !__get_cpuid_count(7, 0, &a, &leaf7, &c, &d)) return 0;
  if (!(leaf1 & 1u << 27)) return 0; /* OSXSAVE */
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  u32 extended;
  if (!__get_cpuid(0x80000001, &a, &b, &extended, &d)) return 0;
  const u32 fma = 1u << 12, movbe = 1u << 22, f16c = 1u << 29, avx = 1u << 28;
  const u32 bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, lzcnt = 1u << 5;
  const u32 first = fma | movbe | f16c | avx, second = bmi1 | avx2 | bmi2;
  int v3 = (leaf1 & first) == first && (leaf7 & second) == second && (extended & lzcnt) && (low & 6) == 6;
  if (strcmp(set, "x86_64_v3") == 0) return v3;
  const u32 avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F, DQ, CD, BW, VL */
  int v4 = v3 && (leaf7 & avx512) == avx512 && (low & 0xe6) == 0xe6;
  if (strcmp(set, "x86_64_v4") == 0) return v4;
  u32 more, tiles;
  if (!v4 || !__get_cpuid_count(7, 0, &a, &b, &c, &tiles) || !__get_cpuid_count(7, 1, &more, &b, &c, &d)) return 0;
  int bf16 = more >> 5 & 1; /* AVX512_BF16 */
  if (strcmp(set, "x86_64_v4_bf16") == 0) return bf16;
  const u32 amx = 1u << 22 | 1u << 24; /* AMX-BF16, AMX-TILE */
  return bf16 && strcmp(set, "x86_64_v4_amx") == 0 && (tiles & amx) == amx && (low & 0x60000) == 0x60000 &&
         system_grants_tiles();
}
#else
static int system_supports(const char *set) { return 1; }
#endif

#endif
