import { bytesSource, type ByteSource } from '@lowrank/io-gguf';
import { embeddedModelUrl } from '../embedded-model-url.ts';
import { ModelsError } from '../models-error.ts';

/** The name that stands for the embedded model wherever a model is asked for. */
export const EMBEDDED_MODEL_NAME = 'names';

/**
 * The model that comes with this package: a character model of English first names, 431,232 parameters, 0.9 MB. Small
 * enough for tests and for a page; `openGguf` takes what this gives.
 * @throws ModelsError MODELS_MODEL_NOT_FOUND where the file was not installed or bundled along.
 */
export async function embeddedModel(): Promise<ByteSource> {
  try {
    return bytesSource(await read(embeddedModelUrl), EMBEDDED_MODEL_NAME);
  } catch (cause) {
    throw new ModelsError(
      'MODELS_MODEL_NOT_FOUND',
      `the embedded model is not at ${embeddedModelUrl.href}: ${(cause as Error).message}; serve the file there or install the package again`,
      {
        value: embeddedModelUrl.href,
        cause,
      },
    );
  }
}

async function read(url: URL): Promise<Uint8Array> {
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
