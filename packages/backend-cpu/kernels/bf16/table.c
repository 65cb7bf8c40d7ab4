/* The kernels of x86_64_v4, by opcode, but for the products, which are this instruction set's. */
#include "../engine/team.h"
#include "../opcodes.h"

#define OF_V4(name) LOWRANK_PASTE(k_##name, x86_64_v4)
#define DECLARE(name, arguments) kernel OF_V4(name);
#define OPCODE(name, arguments) OPCODE_##name,
#define ENTRY(name, arguments) [OPCODE_##name] = OF_V4(name),

KERNELS(DECLARE)
KERNEL(matmul);
KERNEL(matmulQuantized);
enum { KERNELS(OPCODE) };

#pragma clang diagnostic ignored "-Winitializer-overrides"
kernel *const ISA(kernel_table)[] = {
  KERNELS(ENTRY)
  [OPCODE_matmul] = ISA(k_matmul),
  [OPCODE_matmulQuantized] = ISA(k_matmulQuantized),
};
