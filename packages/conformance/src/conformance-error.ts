/** Why a conformance test failed, for programs. The message says it for people. */
export type ConformanceErrorCode =
  /** A number is further from the reference than its bound. */
  | 'CONFORMANCE_MISMATCH'
  /** A rule of the interface is broken: ownership, order, memory, manifest. */
  | 'CONFORMANCE_CONTRACT'
  /** The suite was called wrongly. */
  | 'CONFORMANCE_ARGUMENT';

/** What the suite throws inside the runner's tests. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
  readonly code: ConformanceErrorCode;
  readonly value: unknown;

  constructor(code: ConformanceErrorCode, message: string, value?: unknown) {
    super(message);
    this.code = code;
    this.value = value;
  }
}

/** Throws `CONFORMANCE_CONTRACT` where a rule of the interface does not hold. */
export function demand(holds: boolean, rule: string, value?: unknown): asserts holds {
  if (!holds) throw new ConformanceError('CONFORMANCE_CONTRACT', rule, value);
}
