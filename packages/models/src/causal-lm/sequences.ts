import { tensor, type Backend, type Tensor } from '@lowrank/core';

/**
 * Token sequences that lie one behind the other without padding: what a forward pass reads.
 * Each new token attends to what its sequence has in the cache and to those before it.
 */
export interface SequenceBatch {
  /** New tokens of all sequences: [tokens]. */
  readonly ids: Int32Array;
  /** Each token's place in its own sequence: [tokens]. */
  readonly positions: Int32Array;
  /** New tokens per sequence. */
  readonly lengths: readonly number[];
}

/** A batch whose ids may be on the backend already, i32 [tokens]. */
export type TokenBatch = Omit<SequenceBatch, 'ids'> & { readonly ids: Int32Array | Tensor };

/** The batch of whole sequences. */
export function sequenceBatch(sequences: readonly Int32Array[]): SequenceBatch {
  const lengths = sequences.map((ids) => ids.length);
  const total = lengths.reduce((a, b) => a + b, 0);
  const ids = new Int32Array(total);
  const positions = new Int32Array(total);
  let at = 0;
  for (const sequence of sequences) {
    ids.set(sequence, at);
    for (let i = 0; i < sequence.length; i++) positions[at + i] = i;
    at += sequence.length;
  }
  return { ids, positions, lengths };
}

/** Segments for attention within each sequence alone: see core's `AttentionSpec`. */
export function ownSegments(lengths: readonly number[]): Int32Array {
  const segments = new Int32Array(lengths.length * 4);
  let start = 0;
  lengths.forEach((length, i) => {
    segments.set([start, length, start, length], i * 4);
    start += length;
  });
  return segments;
}

/** Integers on a backend: [length]. */
export function indexTensor(backend: Backend, values: Int32Array): Tensor {
  return tensor(backend, values, [values.length]);
}
