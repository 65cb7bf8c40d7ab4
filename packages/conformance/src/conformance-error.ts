/** Why a conformance test failed, for programs. The message says it for people. */
export type ConformanceErrorCode =
  /** A number is further from the reference than its bound. */
  | 'CONFORMANCE_MISMATCH'
  /** A rule of the interface is broken: ownership, order, memory, manifest. */
  | 'CONFORMANCE_CONTRACT'
  /** The suite was called wrongly. */
  | 'CONFORMANCE_ARGUMENT';

/** A result that is too far off, in numbers. */
export interface Mismatch {
  readonly kernel: string;
  readonly case: string;
  /** Which of the kernel's results. */
  readonly output: string;
  /** Of the element whose error is the largest share of its bound. */
  readonly index: number;
  /** Elements of the result. */
  readonly length: number;
  readonly expected: number;
  readonly got: number;
  /** The largest error allowed there. */
  readonly bound: number;
  /** How many elements are off. */
  readonly wrong: number;
  readonly nmse: number;
  readonly maxAbsolute: number;
  readonly maxUlp: number;
}

/** What the suite throws inside the runner's tests. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
  readonly code: ConformanceErrorCode;
  readonly value: unknown;
  /** With CONFORMANCE_MISMATCH, where the lengths agree. */
  readonly mismatch: Mismatch | undefined;

  constructor(code: ConformanceErrorCode, message: string, value?: unknown, mismatch?: Mismatch) {
    super(message);
    this.code = code;
    this.value = value;
    this.mismatch = mismatch;
  }
}

/** Throws `CONFORMANCE_CONTRACT` where a rule of the interface does not hold. */
export function demand(holds: boolean, rule: string, value?: unknown): asserts holds {
  if (!holds) throw new ConformanceError('CONFORMANCE_CONTRACT', rule, value);
}

/**
 * Throws `CONFORMANCE_CONTRACT` where an error is not one of core's own: also where its class only has the same name, as
 * with a plugin that brings a copy of core.
 */
export function demandClass<E extends Error>(
  error: unknown,
  Class: abstract new (...args: never[]) => E,
  rule: string,
): asserts error is E {
  const name = error instanceof Error ? error.name : typeof error;
  const copied =
    name === Class.name
      ? `one of another copy of @lowrank/core: two are installed, or the plugin bundles its own (npm ls @lowrank/core; core is a peer dependency of plugins)`
      : name;
  demand(error instanceof Class, `${rule}, not ${copied}`, error);
}
