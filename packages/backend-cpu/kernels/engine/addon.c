/*
 * The engine as a Node-API addon. JavaScript gets the control block and the ring as one ArrayBuffer and talks to the
 * threads through it; functions are called only to wake the leader, to copy memory in and out, and to start and end.
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include "system.h"
#include "team.h"

#define X(set) extern kernel *const kernel_table_##set[];
INSTRUCTION_SETS
BF16_SETS
#undef X

typedef struct engine {
  team team;
  system_thread *threads;
  isize started;
  usize reserved;
  napi_threadsafe_function signal;
  napi_ref block; /* keeps the control block's ArrayBuffer alive */
  int joined;
} engine;

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

static kernel *const *table_named(const char *name) {
#define X(set) \
  if (strcmp(name, #set) == 0) return system_supports(name) ? kernel_table_##set : NULL;
  INSTRUCTION_SETS
  BF16_SETS
#undef X
  return NULL;
}

/* The names of those instruction sets that this machine runs. */
static napi_value supported(napi_env env, const char *const *sets) {
  napi_value list;
  napi_create_array(env, &list);
  for (u32 count = 0; *sets != NULL; sets++) {
    napi_value name;
    if (!system_supports(*sets)) continue;
    napi_create_string_utf8(env, *sets, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, list, count++, name);
  }
  return list;
}

#define X(set) #set,
/* instructionSets(): names of those compiled in that this machine runs, best last. */
static napi_value instruction_sets(napi_env env, napi_callback_info info) {
  static const char *const sets[] = {INSTRUCTION_SETS NULL};
  return supported(env, sets);
}

/* bf16Sets(): the same of those whose products round operands to bf16. */
static napi_value bf16_sets(napi_env env, napi_callback_info info) {
  static const char *const sets[] = {BF16_SETS NULL};
  return supported(env, sets);
}
#undef X

static void signal_node(team *t) {
  engine *e = t->host;
  napi_call_threadsafe_function(e->signal, NULL, napi_tsfn_nonblocking);
}

static void on_signal(napi_env env, napi_value callback, void *context, void *data) {
  if (env == NULL || callback == NULL) return;
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  napi_call_function(env, undefined, callback, 0, NULL, NULL);
}

typedef struct start {
  engine *e;
  isize index;
} start;

static void thread_main(void *data) {
  start s = *(start *)data;
  free(data);
  team_main(&s.e->team, s.index);
}

/* Asks the threads to end and waits until they have: at most the command that runs. */
static void join(engine *e) {
  if (e->joined) return;
  e->joined = 1;
  __atomic_store_n(&e->team.control[CONTROL_QUIT], 1, __ATOMIC_SEQ_CST);
  team_wake(&e->team);
  for (isize i = 0; i < e->started; i++) system_join(e->threads[i]);
  free(e->threads);
  system_release(e->team.base, e->reserved);
}

static void at_exit(void *data) { join(data); }

static void finalize(napi_env env, void *data, void *hint) {
  engine *e = data;
  if (!e->joined) {
    napi_remove_env_cleanup_hook(env, at_exit, e);
    join(e);
  }
  free(e);
}

/* create(instructionSet, threads, reserve, onSignal): { handle, block, offset, reserved } */
static napi_value create(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  usize argc = 4;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  char name[32] = "";
  i64 threads = 0;
  double reserve = 0;
  napi_get_value_string_utf8(env, argv[0], name, sizeof name, NULL);
  napi_get_value_int64(env, argv[1], &threads);
  napi_get_value_double(env, argv[2], &reserve);
  kernel *const *table = table_named(name);
  if (table == NULL) return fail(env, "this machine does not run that instruction set");
  if (threads < 1 || threads > 512) return fail(env, "threads must lie in 1..512");

  engine *e = calloc(1, sizeof *e);
  if (e == NULL) return fail(env, "out of memory");
  e->reserved = (usize)reserve;
  while ((e->team.base = system_reserve(e->reserved)) == NULL) {
    e->reserved /= 2;
    if (e->reserved < (usize)1 << 26) {
      free(e);
      return fail(env, "the system gives no address range to reserve");
    }
  }

  napi_value block, handle, resource, result, number;
  char *bytes;
  napi_create_arraybuffer(env, 64 + CONTROL_WORDS * sizeof(i32) + CONTROL_RING_WORDS * sizeof(double), (void **)&bytes, &block);
  usize offset = (usize)(-(isize)bytes & 63);
  e->team.control = (i32 *)(bytes + offset);
  e->team.ring = (double *)(bytes + offset + CONTROL_WORDS * sizeof(i32));
  e->team.table = table;
  e->team.threads = (isize)threads;
  e->team.signal = signal_node;
  e->team.host = e;
  napi_create_reference(env, block, 1, &e->block);
  napi_create_string_utf8(env, "lowrank", NAPI_AUTO_LENGTH, &resource);
  napi_create_threadsafe_function(env, argv[3], NULL, resource, 0, 1, NULL, NULL, NULL, on_signal, &e->signal);
  napi_unref_threadsafe_function(env, e->signal);
  napi_add_env_cleanup_hook(env, at_exit, e);

  e->threads = calloc((usize)threads, sizeof *e->threads);
  for (; e->threads != NULL && e->started < threads; e->started++) {
    start *s = malloc(sizeof *s);
    if (s == NULL) break;
    *s = (start){.e = e, .index = e->started};
    if (!system_start(&e->threads[e->started], thread_main, s)) {
      free(s);
      break;
    }
  }
  if (e->started < threads) {
    napi_remove_env_cleanup_hook(env, at_exit, e);
    join(e);
    napi_release_threadsafe_function(e->signal, napi_tsfn_abort);
    napi_delete_reference(env, e->block);
    free(e);
    return fail(env, "the system starts no more threads");
  }

  napi_create_external(env, e, finalize, NULL, &handle);
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "handle", handle);
  napi_set_named_property(env, result, "block", block);
  napi_create_double(env, (double)offset, &number);
  napi_set_named_property(env, result, "offset", number);
  napi_create_double(env, (double)e->reserved, &number);
  napi_set_named_property(env, result, "reserved", number);
  return result;
}

/* The engine of the first argument, with the others in argv; null (and an exception) where it has ended. */
static engine *receive(napi_env env, napi_callback_info info, usize argc, napi_value *argv) {
  void *e = NULL;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  if (napi_get_value_external(env, argv[0], &e) != napi_ok || ((engine *)e)->joined) {
    fail(env, "the engine has ended");
    return NULL;
  }
  return e;
}

static napi_value wake(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  engine *e = receive(env, info, 1, argv);
  if (e != NULL) team_wake(&e->team);
  return NULL;
}

/* copy(handle, offset, bytes) into or out of the engine's memory */
static napi_value copy(napi_env env, napi_callback_info info, int out) {
  napi_value argv[3];
  engine *e = receive(env, info, 3, argv);
  double offset = -1;
  void *bytes = NULL;
  usize length = 0;
  if (e == NULL) return NULL;
  napi_get_value_double(env, argv[1], &offset);
  napi_get_typedarray_info(env, argv[2], NULL, &length, &bytes, NULL, NULL);
  if (offset < 0 || offset + (double)length > (double)e->reserved) return fail(env, "outside of the engine's memory");
  if (length == 0) return NULL;
  if (out) memcpy(bytes, e->team.base + (usize)offset, length);
  else memcpy(e->team.base + (usize)offset, bytes, length);
  return NULL;
}
static napi_value write(napi_env env, napi_callback_info info) { return copy(env, info, 0); }
static napi_value read(napi_env env, napi_callback_info info) { return copy(env, info, 1); }

/* commit(handle, bytes): whether the first `bytes` can be used */
static napi_value commit(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  engine *e = receive(env, info, 2, argv);
  double bytes = 0;
  if (e == NULL) return NULL;
  napi_get_value_double(env, argv[1], &bytes);
  napi_get_boolean(env, bytes <= (double)e->reserved && system_commit(e->team.base, (usize)bytes), &result);
  return result;
}

/* hold(handle, whether): keeps the process alive while something is awaited */
static napi_value hold(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  engine *e = receive(env, info, 2, argv);
  bool whether = false;
  if (e == NULL) return NULL;
  napi_get_value_bool(env, argv[1], &whether);
  if (whether) napi_ref_threadsafe_function(env, e->signal);
  else napi_unref_threadsafe_function(env, e->signal);
  return NULL;
}

/* end(handle): joins the threads and gives the memory back; quick once all threads have signalled their end */
static napi_value end(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  engine *e = receive(env, info, 1, argv);
  if (e == NULL) return NULL;
  napi_remove_env_cleanup_hook(env, at_exit, e);
  join(e);
  napi_release_threadsafe_function(e->signal, napi_tsfn_abort);
  napi_delete_reference(env, e->block);
  return NULL;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {{"instructionSets", instruction_sets},
                   {"bf16Sets", bf16_sets},
                   {"create", create},
                   {"wake", wake},
                   {"write", write},
                   {"read", read},
                   {"commit", commit},
                   {"hold", hold},
                   {"end", end}};
  for (usize i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
