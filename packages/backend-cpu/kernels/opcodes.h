/*
 * Every command the engine knows: its kernel, and its arguments in order. This is the one table: kernels/engine/table.c
 * makes the jump table from it and scripts/build-kernels.mjs `opcodes` for TypeScript. Argument names appear in errors.
 * "..." stands for a list of any length at the end.
 *
 * Addresses come first (outputs before inputs), then sizes, then scalars.
 */
#define KERNELS(K) \
  /* engine */ \
  K(write, "target bytes ...") \
  K(copy, "target source bytes") \
  /* primitives */ \
  K(unary, "y x op length") \
  K(binary, "y a b op rank ...") \
  K(where, "y condition a b rank ...") \
  K(fill, "y value length integer") \
  K(reduce, "y x partials op outer axis inner") \
  K(readStrided, "y x rank ...") \
  K(writeStrided, "target source rank ...") \
  K(gather, "y table indices rows columns count") \
  K(scatterAdd, "y source indices rows columns count") \
  K(copyRows, "target source rows bytes targetStride sourceStride") \
  K(cast, "y x length to") \
  K(accumulate, "target source length") \
  K(matmul, "c a b scratch batch m n k transposeA transposeB batchA batchB adds") \
  /* fused */ \
  K(matmulQuantized, "y x weight scratch format m rows columns transposed adds") \
  K(gatherQuantized, "y table indices format rows columns count") \
  K(silu, "y x length") \
  K(siluBackward, "dx x dy length") \
  K(swiglu, "y gate up length") \
  K(swigluBackward, "dGate dUp gate up dy length") \
  K(softmax, "y x rows columns") \
  K(softmaxBackward, "dx y dy rows columns") \
  K(rmsNorm, "y x weight rows columns epsilon") \
  K(rmsNormBackward, "dx x weight dy rows columns epsilon") \
  K(rmsNormWeightBackward, "dWeight x dy scratch rows columns epsilon") \
  K(rope, "y x cos sin positions tokens heads headSize rotary interleaved tableRows inverse") \
  K(attention, "output logSumExp q k v scratch queries keys heads kvHeads headSize scale count ...") \
  K(attentionBackward, \
    "dq dk dv q k v output logSumExp dOutput scratch queries keys heads kvHeads headSize scale count ...") \
  K(crossEntropy, "losses logSumExp logits targets rows columns") \
  K(crossEntropyBackward, "dLogits logits targets logSumExp dLosses rows columns") \
  K(dropout, "y x rows columns probability key0 key1 stream0 stream1") \
  K(sumOfSquares, "y partials sums pieces count ...") \
  K(adamw, \
    "moments gradientScale row end count learningRate beta1 beta2 epsilon weightDecay correction1 correction2 ...") \
  K(adamw8bit, \
    "maps gradientScale blocks learningRate beta1 beta2 epsilon weightDecay correction1 correction2 ...") \
  /* benchmarks */ \
  K(peak, "y chunks steps")
