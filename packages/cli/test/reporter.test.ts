import type { TrainEvent } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { makeReporter } from '../src/reporter.ts';
import { trainProgress } from '../src/train-progress.ts';
import { capture, jsonLines } from './support/captured.ts';

const step = (n: number, steps: number): TrainEvent => ({
  type: 'step',
  step: n,
  steps,
  epoch: 0,
  loss: 2 / n,
  learningRate: 1e-3,
  gradNorm: undefined,
  tokens: 50,
  seconds: 0.5,
});

describe('a reporter', () => {
  it('tells people on stdout and leaves events out', async () => {
    const { stdout, stderr } = await capture(() => {
      const reporter = makeReporter(false);
      reporter.line('a line');
      reporter.event('done', { a: 1 });
      reporter.note('in passing');
      reporter.status('not on a terminal');
      reporter.settle();
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'a line\n', stderr: 'in passing\n' });
  });

  it('tells machines one JSON object a line on stdout, and people on stderr', async () => {
    const { stdout, stderr } = await capture(() => {
      const reporter = makeReporter(true);
      reporter.line('a line');
      reporter.event('text', { text: 'two\nlines "quoted"' });
      reporter.event('end');
      reporter.note('in passing');
    });
    expect(jsonLines(stdout)).toEqual([{ event: 'text', text: 'two\nlines "quoted"' }, { event: 'end' }]);
    expect(stderr).toBe('a line\nin passing\n');
  });
});

describe("a run's progress", () => {
  it('in a log is the first step, the last, and about every tenth of the way', async () => {
    const { stdout } = await capture(() => {
      const progress = trainProgress(makeReporter(false));
      progress.start(100, 0, 3);
      for (let n = 1; n <= 100; n++) progress.event(step(n, 100));
    });
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => Number(/^step (\d+)\/100/.exec(line)![1]))).toEqual([
      1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100,
    ]);
    // 50 trained tokens are 150 read ones in half a second; 90 steps of half a second are left.
    expect(lines[1]).toBe('step 10/100 · loss 0.2000 · 300 tokens/s · 0:45 left');
  });

  it('of a resumed run counts the time left from where it began', async () => {
    const { stdout } = await capture(() => {
      const progress = trainProgress(makeReporter(false));
      progress.start(20, 18, 1);
      progress.event(step(19, 20));
      progress.event(step(20, 20));
    });
    expect(stdout).toContain('step 20/20 · loss 0.1000 · 100 tokens/s · 0:00 left');
  });

  it('is every event but the last as JSON', async () => {
    const { stdout, stderr } = await capture(() => {
      const progress = trainProgress(makeReporter(true));
      progress.start(1, 0, 1);
      progress.event(step(1, 1));
      progress.event({ type: 'eval', step: 1, loss: 1.5, tokens: 9, seconds: 0 });
      progress.event({ type: 'checkpoint', step: 1, name: 'checkpoint-1' });
      progress.event({ type: 'done', step: 1, reason: 'finished', tokens: 50, seconds: 1 });
    });
    const events = jsonLines(stdout);
    expect(events.map(({ event }) => event)).toEqual(['step', 'eval', 'checkpoint']);
    expect(events[0]).toMatchObject({ step: 1, loss: 2, tokens: 50 });
    expect(stderr).toContain('validation loss 1.5000');
  });
});
