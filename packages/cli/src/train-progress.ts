import type { TrainEvent } from '@lowrank/core';
import { barText, durationText } from './format.ts';
import type { Reporter } from './reporter.ts';

export interface TrainProgress {
  /** @param tokensPerTarget tokens read for each that is trained. */
  start(steps: number, firstStep: number, tokensPerTarget: number): void;
  event(event: TrainEvent): void;
}

/** Tells a run's events: a live line on a terminal, about ten lines in a log, all of them as JSON. */
export function trainProgress(reporter: Reporter): TrainProgress {
  let first = 0;
  let ratio = 1;
  let seconds = 0;
  let tokens = 0;
  return {
    start: (_, firstStep, tokensPerTarget) => {
      first = firstStep;
      ratio = tokensPerTarget;
    },
    event: (event) => {
      const { type, ...fields } = event;
      if (type !== 'done') reporter.event(type, fields);
      switch (event.type) {
        case 'step': {
          seconds += event.seconds;
          tokens += event.tokens * ratio;
          const { step, steps, loss } = event;
          const left = (seconds / (step - first)) * (steps - step);
          const text = `step ${step}/${steps} · loss ${loss.toFixed(4)} · ${(tokens / seconds).toFixed(0)} tokens/s · ${durationText(left)} left`;
          reporter.status(`${barText(step, steps)} ${text}`);
          if (!process.stderr.isTTY && !reporter.json && isMilestone(step, steps)) reporter.line(text);
          break;
        }
        case 'eval':
          reporter.line(`step ${event.step} · validation loss ${event.loss.toFixed(4)}`);
          break;
        case 'checkpoint':
        case 'done':
          break;
        default:
          event satisfies never;
      }
    },
  };
}

/** The first step, the last, and about every tenth of the way. */
function isMilestone(step: number, steps: number): boolean {
  return step === 1 || step === steps || Math.floor((step * 10) / steps) !== Math.floor(((step - 1) * 10) / steps);
}
