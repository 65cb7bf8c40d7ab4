/** An optimizer step was taken. Told when its loss is known, which is while the next step runs. */
export interface StepEvent {
  readonly type: 'step';
  /** Steps taken, counted over the whole run. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  readonly epoch: number;
  /** Mean over the step's trained tokens. */
  readonly loss: number;
  readonly learningRate: number;
  /** Before clipping; undefined where gradients are not clipped. */
  readonly gradNorm: number | undefined;
  /** Trained tokens of this step. */
  readonly tokens: number;
  /** Since the step before was told (or the run began). */
  readonly seconds: number;
}

/** The evaluation data was gone through. */
export interface EvalEvent {
  readonly type: 'eval';
  readonly step: number;
  /** Mean per token. */
  readonly loss: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** The run's state was written. */
export interface CheckpointEvent {
  readonly type: 'checkpoint';
  readonly step: number;
  readonly name: string;
}

/** The run ended. */
export interface DoneEvent {
  readonly type: 'done';
  readonly step: number;
  /** 'stopped': by the signal, before the last step. */
  readonly reason: 'finished' | 'stopped';
  /** Trained tokens, those of a resumed run's earlier parts included. */
  readonly tokens: number;
  /** Of this part of the run. */
  readonly seconds: number;
}

export type TrainEvent = StepEvent | EvalEvent | CheckpointEvent | DoneEvent;
