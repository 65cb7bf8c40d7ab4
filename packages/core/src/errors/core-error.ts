/** What went wrong, for programs. The message says it for people. */
export type CoreErrorCode =
  | 'CORE_SHAPE'
  | 'CORE_DTYPE'
  | 'CORE_ARGUMENT'
  | 'CORE_MIXED_BACKENDS'
  | 'CORE_DISPOSED'
  | 'CORE_INTERFACE_VERSION'
  | 'CORE_TWO_COPIES'
  | 'CORE_NO_GRADIENT'
  | 'CORE_NO_TARGET'
  | 'CORE_FORMAT'
  | 'CORE_STATE'
  | 'CORE_NOT_FINITE'
  | 'CORE_UNSUPPORTED';

/** Every error that core raises. `value` is the offending value where there is one. */
export class CoreError extends Error {
  override readonly name = 'CoreError';
  readonly code: CoreErrorCode;
  readonly value: unknown;

  constructor(code: CoreErrorCode, message: string, options: { value?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.value = options.value;
  }
}
