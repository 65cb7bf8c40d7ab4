/* The kernels of one instruction set, by opcode. */
#include "../opcodes.h"
#include "team.h"

#define DECLARE(name, arguments) KERNEL(name);
#define ENTRY(name, arguments) ISA(k_##name),

KERNELS(DECLARE)
kernel *const ISA(kernel_table)[] = {KERNELS(ENTRY)};
