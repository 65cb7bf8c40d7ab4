/* What a WebAssembly instance offers to the worker that runs it. Each thread is an instance over the same memory. */
#include "team.h"

extern kernel *const ISA(kernel_table)[];

__attribute__((import_module("env"), import_name("signal"))) void host_signal(void);

static void signal_host(team *t) { host_signal(); }

static team team_at(char *control, isize threads) {
  return (team){.control = (i32 *)control,
                .ring = (double *)(control + CONTROL_WORDS * sizeof(i32)),
                .table = ISA(kernel_table),
                .threads = threads,
                .signal = signal_host};
}

__attribute__((export_name("run"))) void wasm_run(char *control, isize threads, isize index) {
  team t = team_at(control, threads);
  team_main(&t, index);
}

__attribute__((export_name("runAlone"))) void wasm_run_alone(char *control) {
  team t = team_at(control, 1);
  team_run_alone(&t);
}
