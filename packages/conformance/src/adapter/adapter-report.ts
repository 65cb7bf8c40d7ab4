/** Filled while the tests run. */
export interface AdapterReport {
  readonly adapter: string;
  passed: number;
  failed: number;
  /** The largest error of a comparison that passed, as a share of its bound. */
  overBound: number;
  /** Each reason for leaving a claim out (a manifest, the adapter's own word, a layer it refuses), with how often it was given. */
  readonly reasons: Map<string, number>;
}

/** One line, and one for each reason. */
export function adapterSummary({ adapter, passed, failed, overBound, reasons }: AdapterReport): string {
  const left = [...reasons].map(([reason, count]) => `  left out ${count} times: ${reason}`);
  return [
    `adapter ${adapter}: ${passed} passed, ${failed} failed; largest error ${overBound.toPrecision(2)} of its bound`,
    ...left,
  ].join('\n');
}
