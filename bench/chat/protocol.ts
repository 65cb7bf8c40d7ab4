/** An example as both sides read it: token ids, and which of them are learnt. */
export interface ChatExample {
  readonly ids: readonly number[];
  readonly trained: readonly number[];
}

export interface ChatData {
  readonly train: readonly ChatExample[];
  readonly held: readonly ChatExample[];
}

/** The demo's own numbers (`examples/orders/task.ts`), for both. */
export interface ChatSettings {
  /** Path of a `ChatData` as JSON. */
  readonly data: string;
  readonly threads: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly rank: number;
  readonly alpha: number;
  /** Steps between evaluations. */
  readonly evalEvery: number;
  readonly evalBatchSize: number;
}

/** A validation loss, and how long training had taken until then, evaluations not counted. */
export interface Reached {
  readonly step: number;
  readonly seconds: number;
  readonly loss: number;
}

export interface ChatAnswer {
  readonly curve: readonly Reached[];
  readonly peakBytes: number;
}

/** The first moment at which a run has a loss, or undefined where it never has. */
export function secondsTo(loss: number, curve: readonly Reached[]): number | undefined {
  return curve.find((reached) => reached.loss <= loss)?.seconds;
}

/** The lowest loss that all runs reach. */
export function commonLoss(curves: readonly (readonly Reached[])[]): number {
  return Math.max(...curves.map((curve) => Math.min(...curve.map(({ loss }) => loss))));
}
