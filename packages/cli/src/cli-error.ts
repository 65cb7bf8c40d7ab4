export type CliErrorCode =
  | 'CLI_OPTION'
  | 'CLI_CONFIG_FILE'
  | 'CLI_BACKEND'
  | 'CLI_ADAPTER'
  | 'CLI_OUTPUT'
  | 'CLI_INPUT';

/** What the command line itself finds wrong. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  readonly value: unknown;

  constructor(code: CliErrorCode, message: string, options: { value?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.value = options.value;
  }
}
