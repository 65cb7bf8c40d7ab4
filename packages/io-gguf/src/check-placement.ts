import type { ByteSource } from './byte-source.ts';
import { GgufError } from './gguf-error.ts';
import type { GgufTensorInfo } from './tensor-info.ts';

/** Checks that every tensor's data lie aligned, inside the file and over nobody else's. */
export function checkPlacement(
  tensors: readonly GgufTensorInfo[],
  dataStart: number,
  alignment: number,
  source: ByteSource,
): void {
  for (const { name, offset, byteLength } of tensors) {
    if ((offset - dataStart) % alignment !== 0) {
      throw new GgufError(
        'GGUF_CORRUPT',
        `${source.name} is damaged: tensor ${name} starts at byte ${offset}, not at a multiple of ${alignment}. Get the file again.`,
        {
          value: offset,
        },
      );
    }
    const end = offset + (byteLength ?? 0);
    // A tensor without bytes may stand where a padding that was left out would have ended.
    if (end > source.size && byteLength !== 0) {
      throw new GgufError(
        'GGUF_TRUNCATED',
        `${source.name} is cut off or damaged: tensor ${name} takes bytes ${offset} to ${end} but the file ends at ${source.size}. Get the file again.`,
        { value: end },
      );
    }
  }
  const placed = tensors.filter(({ byteLength }) => byteLength !== 0).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < placed.length; i++) {
    const before = placed[i - 1] as GgufTensorInfo;
    const here = placed[i] as GgufTensorInfo;
    if (here.offset < before.offset + (before.byteLength ?? 1)) {
      throw new GgufError(
        'GGUF_CORRUPT',
        `${source.name} is damaged: the data of tensors ${before.name} and ${here.name} overlap at byte ${here.offset}. Get the file again.`,
        {
          value: here.offset,
        },
      );
    }
  }
}
