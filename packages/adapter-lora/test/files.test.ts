import { encodeArray, type HostState, type Site } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { lora, loraAdapter } from '@lowrank/adapter-lora';

const { gguf, peft } = loraAdapter.files;
if ('unsupported' in gguf || 'unsupported' in peft) throw new Error('LoRA has both forms');

const site: Site = { kind: 'linear', path: 'model.layers.0.self_attn.q_proj', inFeatures: 3, outFeatures: 2 };
const state: HostState = {
  params: {
    A: { format: 'f32', shape: [3, 3], data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]) },
    B: { format: 'f32', shape: [2, 3], data: Float32Array.from([1, -2, 3, -4, 5, -6]) },
  },
  buffers: {},
};

describe('GGUF', () => {
  it('takes A, B and alpha as they are', () => {
    const pair = gguf.toPair(state, lora({ rank: 3, alpha: 6 }).config, site);
    expect(pair).toEqual({ alpha: 6, a: state.params['A'], b: state.params['B'] });
    expect(pair.b.data).not.toBe(state.params['B']!.data);
  });

  it('multiplies sqrt(rank) into B for rsLoRA, so that alpha / rank is the right scale', () => {
    const { alpha, a, b } = gguf.toPair(state, lora({ rank: 3, alpha: 6, useRslora: true }).config, site);
    expect(alpha).toBe(6);
    expect(a).toEqual(state.params['A']);
    expect([...b.data]).toEqual([1, -2, 3, -4, 5, -6].map((value) => Math.fround(value * Math.sqrt(3))));
  });

  it('reads a pair as plain LoRA of its rank, in whatever format it is stored', () => {
    const wide: Site = { ...site, inFeatures: 32 };
    const values = Float32Array.from({ length: 64 }, (_, i) => i / 64);
    const a = encodeArray(values, [2, 32], 'q8_0');
    const { state: read, config } = gguf.fromPair(
      { alpha: 5, a, b: encodeArray(Float32Array.of(1, 2, 3, 4), [2, 2], 'f16') },
      wide,
    );
    expect(config).toEqual(lora({ rank: 2, alpha: 5, targetModules: [site.path] }).config);
    expect(read.params['B']).toEqual({ format: 'f32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) });
    expect(Math.abs(read.params['A']!.data[63]! - 63 / 64)).toBeLessThan(1 / 127);
  });

  it('turns an embedding’s A over, as llama.cpp wants token_embd', () => {
    const table: Site = { ...site, kind: 'embedding' };
    const { a, b } = gguf.toPair(state, lora({ rank: 3 }).config, table);
    expect(a).toEqual({ format: 'f32', shape: [3, 3], data: Float32Array.from([1, 4, 7, 2, 5, 8, 3, 6, 9]) });
    expect(gguf.fromPair({ alpha: 3, a, b }, table).state).toEqual(state);
  });

  it('takes alpha 0 for scale 1, as llama.cpp does', () => {
    const { config } = gguf.fromPair({ alpha: 0, a: state.params['A']!, b: state.params['B']! }, site);
    expect(config).toMatchObject({ rank: 3, alpha: 3 });
  });

  it('refuses tensors of other shapes by name', () => {
    expect(() => gguf.fromPair({ alpha: 1, a: state.params['A']!, b: state.params['A']! }, site)).toThrow(
      expect.objectContaining({ code: 'ADAPTER_STATE', path: 'model.layers.0.self_attn.q_proj.lora_b' }),
    );
    expect(() =>
      gguf.toPair({ params: { A: state.params['A']! }, buffers: {} }, lora({ rank: 3 }).config, site),
    ).toThrow(
      expect.objectContaining({
        code: 'ADAPTER_STATE',
        message: 'lora: the tensor model.layers.0.self_attn.q_proj.B is absent; f32 [2, 3] is needed',
      }),
    );
    expect(() => gguf.toPair(state, lora({ rank: 2 }).config, site)).toThrow(
      expect.objectContaining({ code: 'ADAPTER_STATE' }),
    );
  });
});

describe('PEFT', () => {
  it('names tensors as PEFT does', () => {
    expect(peft.tensorNames(site)).toEqual({ A: 'lora_A.weight', B: 'lora_B.weight' });
    expect(peft.tensorNames({ ...site, kind: 'embedding' })).toEqual({ A: 'lora_embedding_A', B: 'lora_embedding_B' });
  });

  it('writes adapter_config.json', () => {
    expect(
      peft.toConfig(
        lora({ rank: 4, alpha: 16, dropout: 0.1, useRslora: true, init: 'gaussian', excludeModules: ['lm_head'] })
          .config,
      ),
    ).toEqual({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 4,
      lora_alpha: 16,
      lora_dropout: 0.1,
      use_rslora: true,
      init_lora_weights: 'gaussian',
      target_modules: ['q_proj', 'v_proj'],
      exclude_modules: ['lm_head'],
      rank_pattern: {},
      alpha_pattern: {},
      layers_to_transform: null,
      layers_pattern: null,
      modules_to_save: null,
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
    });
  });

  it('has patterns, layers, saved modules and biases both ways', () => {
    const { config } = lora({
      targetModules: ['q_proj', 'v_proj'],
      rankPattern: { 'layers\\.1\\..*q_proj': 4 },
      alphaPattern: { v_proj: 2.5 },
      layersToTransform: [3, 1],
      layersPattern: ['layers'],
      modulesToSave: ['lm_head', 'norm'],
      bias: 'lora_only',
    });
    const written = peft.toConfig(config);
    expect(written).toMatchObject({
      rank_pattern: { 'layers\\.1\\..*q_proj': 4 },
      alpha_pattern: { v_proj: 2.5 },
      layers_to_transform: [1, 3],
      layers_pattern: ['layers'],
      modules_to_save: ['lm_head', 'norm'],
      bias: 'lora_only',
    });
    expect(peft.fromConfig(JSON.parse(JSON.stringify(written)) as Record<string, unknown>)).toEqual(config);
  });

  it('takes one layer and one name where PEFT writes them alone', () => {
    expect(peft.fromConfig({ ...written, layers_to_transform: 2, layers_pattern: 'layers' })).toMatchObject({
      layersToTransform: [2],
      layersPattern: ['layers'],
    });
  });

  // The fields that PEFT 0.21.2 writes for LoraConfig(r=16, target_modules=["q_proj"]), as it writes them.
  const written = {
    alora_invocation_tokens: null,
    alpha_pattern: {},
    arrow_config: null,
    auto_mapping: null,
    base_model_name_or_path: 'HuggingFaceTB/SmolLM2-135M',
    bias: 'none',
    corda_config: null,
    ensure_weight_tying: false,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    kasa_config: null,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: 8,
    lora_bias: false,
    lora_dropout: 0.0,
    lora_ga_config: null,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    monteclora_config: null,
    peft_type: 'LORA',
    peft_version: '0.21.2',
    qalora_group_size: 16,
    r: 16,
    rank_pattern: {},
    revision: null,
    target_modules: ['q_proj'],
    target_parameters: null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_bdlora: null,
    use_dora: false,
    use_qalora: false,
    use_rslora: false,
    velora_config: null,
  };

  it('reads what PEFT writes', () => {
    expect(peft.fromConfig(written)).toEqual(lora({ rank: 16, targetModules: ['q_proj'] }).config);
  });

  it('takes PEFT’s defaults for what is not there', () => {
    expect(peft.fromConfig({ peft_type: 'LORA' })).toEqual(lora().config);
  });

  it.each([
    ['use_dora', true],
    ['lora_bias', true],
    ['fan_in_fan_out', true],
    ['trainable_token_indices', [1]],
    ['init_lora_weights', 'pissa_niter_16'],
    ['init_lora_weights', 'loftq'],
    ['init_lora_weights', 'corda'],
  ])('refuses %s = %j, which would give other numbers', (key, value) => {
    expect(() => peft.fromConfig({ ...written, [key]: value })).toThrow(
      expect.objectContaining({ code: 'ADAPTER_UNSUPPORTED', path: key, value }),
    );
  });

  it('refuses tied copies, and minds no tie where nothing is copied', () => {
    expect(peft.fromConfig({ ...written, ensure_weight_tying: true })).toMatchObject({ rank: 16 });
    expect(() => peft.fromConfig({ ...written, ensure_weight_tying: true, modules_to_save: ['lm_head'] })).toThrow(
      expect.objectContaining({ code: 'ADAPTER_UNSUPPORTED', path: 'ensure_weight_tying' }),
    );
  });

  it('refuses keys that it does not know', () => {
    expect(() => peft.fromConfig({ ...written, use_next_years_lora: false })).toThrow(
      expect.objectContaining({ code: 'ADAPTER_CONFIG', path: 'use_next_years_lora' }),
    );
  });
});
