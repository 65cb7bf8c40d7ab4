/**
 * The file of the embedded model, which lies beside the package's code; bundlers that know `new URL(..., import.meta.url)` take it
 * along. In `src` itself, for what is built of it lies as deep.
 */
export const embeddedModelUrl: URL = new URL('../assets/names.gguf', import.meta.url);
