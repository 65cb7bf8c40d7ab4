import {
  AdapterError,
  decodeArray,
  joinLowRankConfigs,
  pairOnOriginal,
  transposedMatrix,
  type AdapterFiles,
  type HostArray,
  type HostState,
  type Site,
} from '@lowrank/core';
import { parseLoraConfig, type LoraConfig } from './config.ts';

/**
 * LoRA as llama.cpp has it, which scales by alpha / rank and knows no other rule. A and B go as they are, with one
 * exception: for rsLoRA, sqrt(rank) is multiplied into B (in float64, rounded once: exact for ranks 1, 4, 16, 64), so that
 * (alpha / rank) B' A = (alpha / sqrt(rank)) B A and all layers keep the one alpha that the file can hold. Read back it is
 * plain LoRA: that it was rsLoRA is not in the file. After PiSSA and OLoRA the pair is the difference to their start, of twice the
 * rank, so that it stands on the original base. An embedding's A is turned over, as llama.cpp wants `token_embd`.
 */
export const ggufFiles: Exclude<AdapterFiles<LoraConfig>['gguf'], { unsupported: string }> = {
  toPair(state, config, site) {
    const { a, b, rank, alpha } = pairOnOriginal('lora', state, config, site);
    const factor = config.useRslora ? Math.sqrt(rank) : 1;
    return {
      alpha,
      a: turned(f32(new Float32Array(a), [rank, site.inFeatures]), site),
      b: f32(
        Float32Array.from(b, (value) => value * factor),
        [site.outFeatures, rank],
      ),
    };
  },

  fromPair({ alpha, a, b }, site): { state: HostState; config: LoraConfig } {
    const rank = b.shape[1] ?? 0;
    checkShape(a, site.kind === 'embedding' ? [site.inFeatures, rank] : [rank, site.inFeatures], `${site.path}.lora_a`);
    checkShape(b, [site.outFeatures, rank], `${site.path}.lora_b`);
    // llama.cpp takes alpha 0 for "no scaling": scale 1.
    const config = parseLoraConfig({ rank, alpha: alpha === 0 ? rank : alpha, targetModules: [site.path] });
    return {
      state: {
        params: { A: turned(f32(decodeArray(a), a.shape), site), B: f32(decodeArray(b), b.shape) },
        buffers: {},
      },
      config,
    };
  },

  joinConfigs: (bySite) => joinLowRankConfigs('lora', bySite),
};

/** An embedding's A transposed; a linear layer's as it is. */
function turned(array: HostArray, { kind }: Site): HostArray {
  if (kind === 'linear') return array;
  const [rows, columns] = array.shape as [number, number];
  const values = transposedMatrix(new Float64Array(array.data), rows, columns);
  return f32(new Float32Array(values), [columns, rows]);
}

function f32(data: Float32Array, shape: readonly number[]): HostArray {
  return { format: 'f32', shape: [...shape], data };
}

function checkShape(array: HostArray, [rows, columns]: readonly [number, number], path: string): void {
  const { shape } = array;
  if (shape.length !== 2 || shape[0] !== rows || shape[1] !== columns) {
    throw new AdapterError(
      'ADAPTER_STATE',
      `lora: the tensor ${path} is [${shape.join(', ')}]; [${rows}, ${columns}] is needed`,
      { path, value: shape },
    );
  }
}
