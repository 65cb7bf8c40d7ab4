import {
  add,
  checkpoint,
  crossEntropy,
  eagerGradient,
  gather,
  passForRows,
  scope,
  sum,
  type Tensor,
} from '@lowrank/core';
import type { Batch } from '../data/index.ts';
import type { CausalLm, ForwardOptions } from './causal-lm.ts';
import { indexTensor } from './sequences.ts';

/** Rows that go through the output head at a time: 256 rows of 49,152 logits are 50 MB. */
const CHUNK_ROWS = 256;

/**
 * Summed cross-entropy over a batch's targets, one element. Only trained positions go through the output head, a chunk
 * at a time.
 */
export function batchLoss(model: CausalLm, batch: Batch, options: ForwardOptions = {}): Tensor {
  const rows = trainedRows(batch);
  return scope(() => {
    const hidden = model.hidden({ ids: batch.ids, positions: batch.positions, lengths: [...batch.lengths] }, options);
    let total: Tensor | undefined;
    for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
      const chunk = rows.subarray(start, start + CHUNK_ROWS);
      const loss = chunkLoss(
        model,
        gather(hidden, indexTensor(model.backend, chunk)),
        chunk.map((row) => batch.targets[row]!),
        options.pass === undefined ? options : { ...options, pass: passForRows(options.pass, chunk) },
      );
      total = total === undefined ? loss : add(total, loss);
    }
    return total ?? sum(gather(hidden, indexTensor(model.backend, new Int32Array(0))));
  });
}

function trainedRows(batch: Batch): Int32Array {
  const rows = new Int32Array(batch.targetCount);
  let count = 0;
  batch.targets.forEach((target, row) => {
    if (target >= 0) rows[count++] = row;
  });
  return rows;
}

function chunkLoss(model: CausalLm, hidden: Tensor, targets: Int32Array, { pass }: ForwardOptions): Tensor {
  const { backend, head } = model;
  const body = (h: Tensor): Tensor => sum(crossEntropy(model.logits(h, pass), indexTensor(backend, targets)));
  const trained = [...head.trainable(), ...model.norm.trainable()];
  // With something to train in the head, its gradient must wait for backward; else only that toward h is needed.
  return trained.length > 0 ? checkpoint(body, hidden, { parameters: trained }) : eagerGradient(body, hidden);
}
