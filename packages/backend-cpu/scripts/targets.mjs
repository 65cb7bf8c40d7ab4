/** What build-kernels.mjs builds: a target's triple, instruction sets and flags. */

/**
 * No contraction: sums have the same bits on all targets. What may differ between compilers' defaults is said here.
 * Kernels use no libc; `-fno-math-errno` lets square roots be instructions.
 */
export const commonFlags = [
  '-std=gnu17',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-stack-protector',
  '-fno-sanitize=undefined',
  '-fvisibility=hidden',
  '-fno-strict-aliasing',
  '-Wall',
  '-Wextra',
  '-Wno-psabi',
  '-Wno-unused-parameter',
  '-Wno-unused-function',
];

/** The compiler's own notion of the instruction set: what opcodes it may use in kernels. */
const x86 = {
  x86_64_v3: ['-mcpu=x86_64_v3'],
  x86_64_v4: ['-mcpu=x86_64_v4', '-mprefer-vector-width=512'],
};
const arm64 = { neon: [] };

/**
 * Of these only kernels/bf16 is compiled: the products of an engine that rounds their operands. The other kernels are
 * x86_64_v4's. Best last.
 */
const avx512Bf16 = {
  x86_64_v4_bf16: ['-mcpu=x86_64_v4+avx512bf16', '-mprefer-vector-width=512'],
};
const amx = {
  x86_64_v4_amx: ['-mcpu=x86_64_v4+avx512bf16+amx_tile+amx_bf16', '-mprefer-vector-width=512'],
};

export const addonTargets = {
  'linux-x64': {
    triple: 'x86_64-linux-gnu.2.28',
    instructionSets: x86,
    bf16Sets: { ...avx512Bf16, ...amx },
    flags: ['-fPIC', '-pthread'],
    linkFlags: [],
  },
  'linux-arm64': {
    triple: 'aarch64-linux-gnu.2.28',
    instructionSets: arm64,
    flags: ['-fPIC', '-pthread'],
    linkFlags: [],
  },
  'darwin-x64': {
    triple: 'x86_64-macos.11.0',
    instructionSets: x86,
    flags: ['-fPIC'],
    linkFlags: ['-Wl,-undefined,dynamic_lookup'],
  },
  'darwin-arm64': {
    triple: 'aarch64-macos.11.0',
    instructionSets: arm64,
    flags: ['-fPIC'],
    linkFlags: ['-Wl,-undefined,dynamic_lookup'],
  },
  'win32-x64': {
    triple: 'x86_64-windows-gnu',
    instructionSets: x86,
    bf16Sets: avx512Bf16,
    flags: [],
    linkFlags: ['-lapi-ms-win-core-synch-l1-2-0'],
    importLibrary: true,
  },
};

/**
 * WebAssembly is what every installation and every page has to carry: kernels that wait for memory more than for arithmetic, and those that
 * work through long elementary functions, are short.
 */
const shortKernels = new Set([
  'accumulate.c',
  'adamw.c',
  'adamw8bit.c',
  'binary.c',
  'cast.c',
  'copy.c',
  'cross-entropy.c',
  'dropout.c',
  'fill.c',
  'gather-quantized.c',
  'gather.c',
  'read-strided.c',
  'reduce.c',
  'rms-norm.c',
  'rope.c',
  'scatter-add.c',
  'silu.c',
  'softmax.c',
  'sum-of-squares.c',
  'swiglu.c',
  'unary.c',
  'where.c',
  'write-strided.c',
]);

/** Of these only the loops are unrolled that say so: the ones that keep vectors in registers. */
const tiledKernels = new Set(['attention.c', 'attention-backward.c', 'matmul.c']);

/** @param {string} source */
export function wasmSizeFlags(source) {
  if (shortKernels.has(source)) return ['-Os'];
  return tiledKernels.has(source) ? ['-fno-unroll-loops'] : [];
}

const wasmFeatures = 'generic+simd128+bulk_memory+nontrapping_fptoint+mutable_globals+sign_ext+relaxed_simd+atomics';
const wasmLinkFlags = [
  '-nostdlib',
  '-O3',
  '-Wl,--no-entry',
  '-Wl,--import-memory',
  '-Wl,--export=__stack_pointer',
  '-Wl,--export=__heap_base',
  '-Wl,--strip-all',
  '-Wl,-z,stack-size=65536',
  '-Wl,--shared-memory',
  // 65,535 pages: zig refuses 4 GiB, and the last page would not fit a 32-bit size anyway.
  '-Wl,--max-memory=4294901760',
];

/** Relaxed SIMD and shared memory. What has less of them is made of it at run time: src/engines/wasm-rewrite.ts. */
export const wasmTarget = { triple: 'wasm32-freestanding', flags: [`-mcpu=${wasmFeatures}`], linkFlags: wasmLinkFlags };
