/** How a model is stored. */
export type ModelFormat = 'gguf' | 'hf';

/** By its name: one that ends in `.gguf` is that, any other a Hugging Face folder. */
export function modelFormat(path: string): ModelFormat {
  return path.toLowerCase().endsWith('.gguf') ? 'gguf' : 'hf';
}
