/*
 * The words by which JavaScript and the engine's threads talk, as indices of 32-bit integers from the start of the
 * control block; what different sides write lies on different cache lines. The build script copies the numbers for TypeScript.
 * The ring of commands follows the block.
 */
#ifndef LOWRANK_CONTROL_H
#define LOWRANK_CONTROL_H

/* Written by JavaScript: words of commands put into the ring so far, modulo 2^32. */
#define CONTROL_TAIL 0
/* Set by JavaScript when it has commands that the ring has no room for. */
#define CONTROL_WANT_SPACE 1
/* Set by JavaScript: threads end before the next command. */
#define CONTROL_QUIT 2
/* Written by the leader: words eaten, and commands done, modulo 2^32. */
#define CONTROL_HEAD 16
#define CONTROL_COMPLETED 17
/* The leader sleeps until TAIL changes. */
#define CONTROL_ASLEEP 18
/* Threads that have ended. */
#define CONTROL_ENDED 19
/* The first failure since JavaScript last cleared it: 1, the opcode, and from word 36 (as doubles) the value at fault and
   the command's first 8 arguments. */
#define CONTROL_FAILED 32
#define CONTROL_FAILED_OPCODE 33
#define CONTROL_FAILED_VALUES 36
/* generation << 11 | open << 10 | threads that have joined */
#define CONTROL_GATE 64
/* Helpers sleep until WAKE changes. */
#define CONTROL_WAKE 80
#define CONTROL_SLEEPERS 81
/* 64 bits: phase << 42 | chunks handed out << 21 | chunks done */
#define CONTROL_STATE 96
/* The command that runs: its opcode, and its position in the ring. */
#define CONTROL_OPCODE 112
#define CONTROL_ARGUMENTS 113

#define CONTROL_WORDS 256
/* Commands, in doubles: a power of two. */
#define CONTROL_RING_WORDS 65536

/* Opcodes of the engine itself, which COMPLETED does not count: skip to the start of the ring; tell JavaScript that all before this is done. */
#define CONTROL_OP_WRAP 1000000
#define CONTROL_OP_SIGNAL 1000001

#endif
