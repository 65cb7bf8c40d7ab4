import type { HostArray } from '@lowrank/core';
import type { GgufContents, GgufPairs } from './file-layout.ts';
import { pairsOf } from './file-layout.ts';
import { GgufError } from './gguf-error.ts';
import type { GgufFile } from './gguf-file.ts';
import { GgufMetadata } from './metadata.ts';
import type { GgufTensorInfo } from './tensor-info.ts';
import { encodeGguf, writeGguf } from './write-gguf.ts';

/**
 * One adapted tensor of a llama.cpp LoRA file. For a linear weight [out, in]: a [r, in], b [out, r]. For `token_embd.weight`
 * [vocab, dim] llama.cpp wants both transposed against that: a [vocab, r], b [dim, r].
 * Stored as f32, f16, bf16 or q8_0 (rows of a multiple of 32).
 */
export interface LoraPair {
  /** The base model's tensor, e.g. `blk.0.attn_q.weight`. */
  readonly base: string;
  readonly a: HostArray;
  readonly b: HostArray;
}

/** A llama.cpp LoRA adapter file. What is added to W x is (alpha / r) B A x, with r each pair's own rank. */
export interface LoraGguf {
  /** The base model's `general.architecture`. */
  readonly architecture: string;
  /** One for the whole file: fold rsLoRA's scale and alphas of single layers into b. Neither 0, which llama.cpp takes for "none", nor infinite. */
  readonly alpha: number;
  readonly tensors: readonly LoraPair[];
  /** More metadata (`general.name`, ...), written after the four keys that make it an adapter. */
  readonly metadata?: GgufPairs;
}

const formats: ReadonlySet<string> = new Set(['f32', 'f16', 'bf16', 'q8_0']);
const embedding = 'token_embd.weight';
const keys = {
  type: 'general.type',
  architecture: 'general.architecture',
  adapter: 'adapter.type',
  alpha: 'adapter.lora.alpha',
} as const;
/** Adapters that act only after certain tokens: another kind of adapter in the same clothes. */
const activatedKey = 'adapter.alora.invocation_tokens';

/** Writes an adapter that llama.cpp loads: atomic, as `writeGguf` (Node only). Rejects with `GGUF_LORA`, and as `writeGguf`. */
export async function writeLoraGguf(path: string, adapter: LoraGguf): Promise<number> {
  return writeGguf(path, contentsOf(adapter));
}

/** The same file as bytes in memory, for browsers. */
export async function encodeLoraGguf(adapter: LoraGguf): Promise<Uint8Array> {
  return encodeGguf(contentsOf(adapter));
}

/**
 * Reads a llama.cpp LoRA adapter whole. Rejects with `GGUF_LORA` where it is none, where a pair lacks a half or its ranks
 * differ, where a tensor belongs to no pair, or where there is nothing in it: what llama.cpp refuses, ignores or dies of.
 */
export async function readLoraGguf(file: GgufFile): Promise<Required<LoraGguf> & { readonly metadata: GgufMetadata }> {
  const { metadata } = file;
  const name = file.source.name;
  const expectKey = (key: string, wanted: string): void => {
    const found = metadata.get(key);
    if (found?.type !== 'string' || found.value !== wanted) {
      const is =
        found === undefined
          ? 'absent'
          : JSON.stringify(found.value, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
      throw new GgufError(
        'GGUF_LORA',
        `${name} is not a LoRA adapter for llama.cpp: its ${key} is ${is.slice(0, 80)}, not "${wanted}". Give an adapter file, not a model.`,
        {
          value: found,
        },
      );
    }
  };
  expectKey(keys.type, 'adapter');
  expectKey(keys.adapter, 'lora');
  if (metadata.has(activatedKey)) {
    throw new GgufError('GGUF_LORA', `${name} is an activated LoRA (${activatedKey}), which is not supported.`, {
      value: activatedKey,
    });
  }
  const alpha = metadata.get(keys.alpha);
  if (alpha?.type !== 'f32') {
    throw new GgufError(
      'GGUF_LORA',
      `${name} needs ${keys.alpha} of type f32 but ${alpha === undefined ? 'has none' : `it is ${alpha.type}`}. Convert the adapter again.`,
      {
        value: alpha,
      },
    );
  }
  checkAlpha(alpha.value);
  const architecture = metadata.string(keys.architecture);
  const bases = pairNames(file);
  const tensors: LoraPair[] = [];
  for (const base of bases) {
    // Shapes are checked before the data are read.
    checkPair(
      base,
      file.tensors.get(`${base}.lora_a`) as GgufTensorInfo,
      file.tensors.get(`${base}.lora_b`) as GgufTensorInfo,
    );
    tensors.push({ base, a: await file.read(`${base}.lora_a`), b: await file.read(`${base}.lora_b`) });
  }
  return { architecture, alpha: alpha.value, tensors, metadata };
}

/** The bases that a file's tensors name, each with both halves. */
function pairNames(file: GgufFile): Set<string> {
  const bases = new Set<string>();
  for (const name of file.tensors.keys()) {
    const match = /^(.+)\.lora_([ab])$/s.exec(name);
    if (match === null) {
      throw new GgufError(
        'GGUF_LORA',
        `Tensor ${name} of ${file.source.name} ends in neither .lora_a nor .lora_b: it belongs to no adapter.`,
        { value: name },
      );
    }
    const [, base, half] = match as unknown as [string, string, string];
    const other = `${base}.lora_${half === 'a' ? 'b' : 'a'}`;
    if (!file.tensors.has(other)) {
      throw new GgufError(
        'GGUF_LORA',
        `${file.source.name} has ${name} but not ${other}: half of a pair is missing. Convert the adapter again.`,
        { value: other },
      );
    }
    bases.add(base);
  }
  if (bases.size === 0) {
    throw new GgufError('GGUF_LORA', `${file.source.name} is a LoRA adapter without tensors: it changes nothing.`);
  }
  return bases;
}

function contentsOf(adapter: LoraGguf): GgufContents {
  const { architecture, alpha, tensors, metadata: more = {} } = adapter;
  if (typeof architecture !== 'string' || architecture === '') {
    throw new GgufError('GGUF_LORA', 'An adapter names its base\'s general.architecture, such as "llama".', {
      value: architecture,
    });
  }
  checkAlpha(Math.fround(alpha));
  if (tensors.length === 0) {
    throw new GgufError('GGUF_LORA', 'An adapter without tensors changes nothing: there is none to write.');
  }
  const metadata = new GgufMetadata([
    [keys.type, { type: 'string', value: 'adapter' }],
    [keys.architecture, { type: 'string', value: architecture }],
    [keys.adapter, { type: 'string', value: 'lora' }],
    [keys.alpha, { type: 'f32', value: alpha }],
  ]);
  const own: ReadonlySet<string> = new Set(Object.values(keys));
  for (const [key, value] of pairsOf(more)) {
    if (!own.has(key)) metadata.set(key, value);
  }
  for (const { base, a, b } of tensors) checkPair(base, a, b);
  return {
    metadata,
    tensors: tensors.flatMap(({ base, a, b }) => [
      { name: `${base}.lora_a`, array: a },
      { name: `${base}.lora_b`, array: b },
    ]),
  };
}

function checkAlpha(alpha: number): void {
  if (!Number.isFinite(alpha) || alpha === 0) {
    throw new GgufError(
      'GGUF_LORA',
      `alpha is ${alpha}; it must be a finite number other than 0, which llama.cpp takes for "no scaling by rank".`,
      { value: alpha },
    );
  }
}

/** Checks a pair by what is known of it before it is read. */
function checkPair(base: string, a: HostArray | GgufTensorInfo, b: HostArray | GgufTensorInfo): void {
  for (const [half, stored] of [
    ['a', a],
    ['b', b],
  ] as const) {
    const { shape } = stored;
    const format = stored.format ?? stored.type;
    if (shape.length !== 2 || shape.some((size) => !(size > 0))) {
      throw new GgufError(
        'GGUF_LORA',
        `${base}.lora_${half} has shape [${shape.join(', ')}]; the halves of a pair are matrices.`,
        { value: shape },
      );
    }
    if (!formats.has(format)) {
      throw new GgufError(
        'GGUF_LORA',
        `${base}.lora_${half} is stored as ${format}; llama.cpp's adapters are f32, f16, bf16 or q8_0.`,
        { value: format },
      );
    }
  }
  if (base.endsWith('_norm.weight')) {
    throw new GgufError(
      'GGUF_LORA',
      `${base} is a norm: llama.cpp silently ignores adapters of norms. Leave it out, or merge the adapter into the model.`,
      { value: base },
    );
  }
  const rankA = base === embedding ? a.shape[1] : a.shape[0];
  if (rankA !== b.shape[1]) {
    const wanted =
      base === embedding ? 'a is [vocabulary, rank] and b [dimension, rank]' : 'a is [rank, in] and b [out, rank]';
    throw new GgufError(
      'GGUF_LORA',
      `The halves of ${base} have unequal ranks: a [${a.shape.join(', ')}], b [${b.shape.join(', ')}], where ${wanted}.`,
      {
        value: [a.shape, b.shape],
      },
    );
  }
}
