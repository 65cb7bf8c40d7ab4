/**
 * What went wrong, for programs.
 *
 * Reading: `GGUF_NOT_FOUND`, `GGUF_IO` (the system refused), `GGUF_EMPTY`, `GGUF_NOT_GGUF`, `GGUF_BIG_ENDIAN`, `GGUF_VERSION`,
 * `GGUF_TRUNCATED` (something reaches beyond the end), `GGUF_CORRUPT` (something contradicts the format), `GGUF_CLOSED`,
 * `GGUF_OUT_OF_MEMORY`.
 * Asking: `GGUF_NO_TENSOR`, `GGUF_UNSUPPORTED_TYPE`, `GGUF_ARGUMENT`, `GGUF_METADATA_MISSING`, `GGUF_METADATA_TYPE`.
 * Writing: `GGUF_INVALID` (what was handed over cannot be a GGUF), `GGUF_IO`.
 * Adapters: `GGUF_LORA` (not a llama.cpp LoRA adapter, or not a whole one).
 */
export type GgufErrorCode =
  | 'GGUF_NOT_FOUND'
  | 'GGUF_IO'
  | 'GGUF_EMPTY'
  | 'GGUF_NOT_GGUF'
  | 'GGUF_BIG_ENDIAN'
  | 'GGUF_VERSION'
  | 'GGUF_TRUNCATED'
  | 'GGUF_CORRUPT'
  | 'GGUF_CLOSED'
  | 'GGUF_OUT_OF_MEMORY'
  | 'GGUF_NO_TENSOR'
  | 'GGUF_UNSUPPORTED_TYPE'
  | 'GGUF_ARGUMENT'
  | 'GGUF_METADATA_MISSING'
  | 'GGUF_METADATA_TYPE'
  | 'GGUF_INVALID'
  | 'GGUF_LORA';

/** Every error that this package raises. `value` is the offending value where there is one. */
export class GgufError extends Error {
  override readonly name = 'GgufError';
  readonly code: GgufErrorCode;
  readonly value: unknown;

  constructor(code: GgufErrorCode, message: string, options: { value?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.value = options.value;
  }
}
