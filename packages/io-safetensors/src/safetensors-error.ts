/**
 * What went wrong, for programs.
 *
 * Reading: `SAFETENSORS_NOT_FOUND`, `SAFETENSORS_IO` (the system refused), `SAFETENSORS_TRUNCATED` (something reaches beyond the
 * end), `SAFETENSORS_HEADER` (the header is too long, or no header at all), `SAFETENSORS_CORRUPT` (a tensor's entry contradicts the
 * format), `SAFETENSORS_INDEX` (a sharded model's index and shards contradict each other), `SAFETENSORS_CLOSED`,
 * `SAFETENSORS_OUT_OF_MEMORY`.
 * Asking: `SAFETENSORS_NO_TENSOR`, `SAFETENSORS_UNSUPPORTED_TYPE`.
 * Writing: `SAFETENSORS_INVALID` (what was handed over cannot be a safetensors file), `SAFETENSORS_IO`.
 */
export type SafetensorsErrorCode =
  | 'SAFETENSORS_NOT_FOUND'
  | 'SAFETENSORS_IO'
  | 'SAFETENSORS_TRUNCATED'
  | 'SAFETENSORS_HEADER'
  | 'SAFETENSORS_CORRUPT'
  | 'SAFETENSORS_INDEX'
  | 'SAFETENSORS_CLOSED'
  | 'SAFETENSORS_OUT_OF_MEMORY'
  | 'SAFETENSORS_NO_TENSOR'
  | 'SAFETENSORS_UNSUPPORTED_TYPE'
  | 'SAFETENSORS_INVALID';

/** Every error that this package raises. `value` is the offending value where there is one. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
  readonly code: SafetensorsErrorCode;
  /** The file at fault, where there is one. */
  readonly file: string | undefined;
  /** The tensor at fault, where there is one. */
  readonly tensor: string | undefined;
  readonly value: unknown;

  constructor(
    code: SafetensorsErrorCode,
    message: string,
    options: { file?: string; tensor?: string; value?: unknown; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.file = options.file;
    this.tensor = options.tensor;
    this.value = options.value;
  }
}
