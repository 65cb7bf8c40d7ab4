import type { Line } from '../report.ts';

/** Figures out of JSON Lines. @throws Error naming the line that is none. */
export function readLines(text: string): Line[] {
  return text
    .split('\n')
    .map((line, i) => [line.trim(), i + 1] as const)
    .filter(([line]) => line !== '')
    .map(([line, number]) => {
      const figure = parsed(line) as Partial<Line> | undefined;
      const whole =
        [figure?.name, figure?.case, figure?.subject, figure?.unit, figure?.machine].every(
          (part) => typeof part === 'string',
        ) && typeof figure?.value === 'number';
      if (!whole) throw new Error(`line ${number} is not a figure of npm run bench -- --json: ${line.slice(0, 80)}`);
      return figure as Line;
    });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

/** 'native, 2 threads' is 'native' on 2; what has no threads has 0. */
export function threadsOf({ subject }: Line): number {
  return Number(/, (\d+) threads?$/.exec(subject)?.[1] ?? 0);
}

export function withoutThreads({ subject }: Line): string {
  return subject.replace(/, \d+ threads?$/, '');
}

/** Whether less of it is better. */
export function lessIsBetter({ unit }: Line): boolean {
  return ['s', 'ms', 'GB', 'kB'].includes(unit);
}

/** Three digits. */
export function number(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(Math.min(digits, 4));
}
