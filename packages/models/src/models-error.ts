/** What went wrong, for programs. The message says it for people. */
export type ModelsErrorCode =
  | 'MODELS_ARGUMENT'
  | 'MODELS_METADATA'
  | 'MODELS_ARCHITECTURE'
  | 'MODELS_TENSOR'
  | 'MODELS_ADAPTER'
  | 'MODELS_STATE'
  | 'MODELS_OUTPUT'
  | 'MODELS_TOKENIZER_UNSUPPORTED'
  | 'MODELS_TOKENIZER_UNENCODABLE'
  | 'MODELS_CHAT_TEMPLATE'
  | 'MODELS_CHAT_SEGMENTS'
  | 'MODELS_DATA_FILE'
  | 'MODELS_DATA_LINE'
  | 'MODELS_DATA_EMPTY'
  | 'MODELS_MODEL_NOT_FOUND'
  | 'MODELS_CHECKSUM'
  | 'MODELS_DOWNLOAD';

/** Every error that this package raises. `value` is the offending value where there is one. */
export class ModelsError extends Error {
  override readonly name = 'ModelsError';
  readonly code: ModelsErrorCode;
  readonly value: unknown;

  constructor(code: ModelsErrorCode, message: string, options: { value?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.value = options.value;
  }
}
