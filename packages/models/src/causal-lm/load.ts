import type { Backend, Linear } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { isFolder } from './base-model.ts';
import { CausalLm } from './causal-lm.ts';
import type { HfFolder } from '../hugging-face/hf-folder.ts';
import { configFromGguf } from './config.ts';
import { DecoderLayer, Mlp, SelfAttention } from './decoder-layer.ts';
import { RopeTables } from './rope-tables.ts';
import { TensorReader, type LoadOptions } from './tensor-reader.ts';
import { ggufWeights, type WeightSource } from './weight-source.ts';

/**
 * Builds a model from a GGUF, or from a Hugging Face folder that `openHfFolder` opened. Weights stay as they are stored.
 * @throws ModelsError MODELS_ARCHITECTURE, MODELS_METADATA, or MODELS_TENSOR when a tensor is missing, of another shape, or
 * of no use to such a model. Nothing stays on the backend then.
 */
export async function loadCausalLm(
  file: GgufFile | HfFolder,
  backend: Backend,
  options: LoadOptions = {},
): Promise<CausalLm> {
  const source = isFolder(file) ? file.weights : ggufWeights(file, configFromGguf(file));
  const reader = new TensorReader(source, backend, options);
  try {
    return await build(reader, source, backend);
  } catch (error) {
    reader.disposeAll();
    throw error;
  }
}

async function build(reader: TensorReader, { config, tied }: WeightSource, backend: Backend): Promise<CausalLm> {
  const { hiddenSize, feedForwardSize, heads, kvHeads, headSize, vocabularySize, layers } = config;
  const factors = await reader.ropeFactors();
  const embedding = await reader.weight('model.embed_tokens', vocabularySize, hiddenSize);
  const blocks: DecoderLayer[] = [];
  for (let n = 0; n < layers; n++) {
    const at = `model.layers.${n}`;
    const linear = (name: string, rows: number, columns: number): Promise<Linear> =>
      reader.linear(`${at}.${name}`, rows, columns);
    blocks.push(
      new DecoderLayer({
        inputNorm: await reader.norm(`${at}.input_layernorm`),
        attention: new SelfAttention(
          {
            q_proj: await linear('self_attn.q_proj', heads * headSize, hiddenSize),
            k_proj: await linear('self_attn.k_proj', kvHeads * headSize, hiddenSize),
            v_proj: await linear('self_attn.v_proj', kvHeads * headSize, hiddenSize),
            o_proj: await linear('self_attn.o_proj', hiddenSize, heads * headSize),
          },
          config,
          n,
        ),
        postNorm: await reader.norm(`${at}.post_attention_layernorm`),
        mlp: new Mlp({
          gate_proj: await linear('mlp.gate_proj', feedForwardSize, hiddenSize),
          up_proj: await linear('mlp.up_proj', feedForwardSize, hiddenSize),
          down_proj: await linear('mlp.down_proj', hiddenSize, feedForwardSize),
        }),
      }),
    );
  }
  const norm = await reader.norm('model.norm');
  const head = tied ? undefined : await reader.weight('lm_head', vocabularySize, hiddenSize);
  reader.requireAllRead();
  return new CausalLm({
    config,
    backend,
    embedding,
    layers: blocks,
    norm,
    rope: new RopeTables(backend, config, factors),
    ...(head === undefined ? {} : { head }),
  });
}
