/** How text becomes token ids. */
export interface EncodeOptions {
  /** Adds what the model wants around a text: the BOS (and EOS) token, where its metadata says so. Default true. */
  readonly addSpecial?: boolean;
  /**
   * Reads the texts of control tokens, such as `<|im_end|>`, as those tokens. Default false: text from outside cannot
   * then end a turn. (User-defined tokens are always read.)
   */
  readonly parseSpecial?: boolean;
  /**
   * What happens to bytes that the vocabulary has no token for (SmolLM2's lacks some control characters): left out, as
   * llama.cpp and Hugging Face do, or an error. Default 'drop'.
   */
  readonly missingBytes?: 'drop' | 'throw';
}

/** How token ids become text. */
export interface DecodeOptions {
  /** Leaves control tokens out. Default true. */
  readonly skipSpecial?: boolean;
}

/** Text from ids that arrive one by one: a character whose bytes span tokens is held back until it is whole. */
export interface StreamDecoder {
  /** The text that this token completes; may be empty. */
  push(id: number): string;
  /** What was held back; an incomplete character becomes U+FFFD. The decoder can then be used again. */
  end(): string;
}

/** Text to token ids and back; made by `tokenizerFromGguf`. */
export interface Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether the model wants a BOS token before a text. */
  readonly addBos: boolean;
  /** Ids that end generation: EOS, end of turn, end of text. Ascending. */
  readonly endOfTurnIds: readonly number[];
  /**
   * Ids of a text. A lone surrogate counts as U+FFFD.
   * @throws ModelsError MODELS_TOKENIZER_UNENCODABLE when the vocabulary lacks a byte of the text and
   * `missingBytes` is 'throw'.
   */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /**
   * Text of ids; bytes that are not UTF-8 become U+FFFD.
   * @throws ModelsError MODELS_ARGUMENT for an id outside of the vocabulary.
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** The bytes that a token stands for; of a control token, its text's. */
  bytesOf(id: number): Uint8Array;
  /** The id of a control or user-defined token by its text, or undefined. */
  specialId(text: string): number | undefined;
  streamDecoder(options?: DecodeOptions): StreamDecoder;
}
