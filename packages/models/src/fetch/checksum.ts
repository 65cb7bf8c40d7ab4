import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ModelsError } from '../models-error.ts';

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** @throws ModelsError MODELS_CHECKSUM unless the file has these bytes. */
export async function verifyFile(
  path: string,
  expected: { readonly bytes: number; readonly sha256: string },
): Promise<void> {
  const { size } = await stat(path);
  if (size !== expected.bytes) {
    throw new ModelsError('MODELS_CHECKSUM', `${path} has ${size} bytes instead of ${expected.bytes}`, { value: size });
  }
  const sha256 = await sha256OfFile(path);
  if (sha256 !== expected.sha256) {
    throw new ModelsError('MODELS_CHECKSUM', `${path} has the SHA-256 ${sha256} instead of ${expected.sha256}`, {
      value: sha256,
    });
  }
}
